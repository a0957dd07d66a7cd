"""What is read of the ledger is what was written, whatever that was."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.instances.model import (
    AgentSign,
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Service,
    Sighting,
    Snapshot,
    State,
)
from tests.unit.instances.ledger_server import DATABASE, NEW, NOW, OLD, LedgerServer

pytestmark = pytest.mark.programs

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
numbers = st.integers(0, 2**31 - 1)
generations = st.sampled_from([OLD, NEW])


def rollout(number: int, service: str) -> st.SearchStrategy[Rollout]:
    return st.builds(
        Rollout,
        st.just(number),
        st.just(service),
        generations,
        st.none() | generations,
        st.sampled_from(RolloutState),
        times,
        times,
        names,
        restart=st.booleans(),
        max_unavailable=st.integers(1, 9),
        canary_seconds=numbers,
        canary_error_percent=st.floats(0, 100),
        canary=st.none() | numbers,
        canary_since=st.none() | times,
        canary_passed=st.booleans(),
        finished_at=st.none() | times,
        reason=names,
        failed_instance=names,
        journal=names,
    )


def instance(service: str, port: int) -> st.SearchStrategy[Instance]:
    return st.builds(
        Instance,
        st.just(InstanceKey(service, port)),
        names,
        names,
        generations,
        numbers,
        st.sampled_from(State),
        times,
        purpose=st.none() | st.sampled_from(Purpose),
        held=st.booleans(),
        restarts=numbers,
        reason=names,
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Ledgers as they can be: what belongs to a service is only there with it."""
    services, rollouts, instances = {}, {}, {}
    sightings, desired = [], {}
    for number, name in enumerate(draw(st.lists(names, max_size=3, unique=True)), start=1):
        rolled = draw(st.booleans())
        services[name] = Service(
            name, draw(generations), draw(st.none() | generations), number if rolled else 0
        )
        if rolled:
            rollouts[number] = draw(rollout(number, name))
        for host in draw(st.sets(names, max_size=2)):
            desired[name, host] = draw(numbers)
        for port in draw(st.sets(st.integers(1, 65535), max_size=3)):
            one = draw(instance(name, port))
            instances[one.key] = one
            sightings += [
                draw(
                    st.builds(
                        Sighting,
                        st.just(one.key),
                        st.just(balancer),
                        st.sampled_from(Seen),
                        numbers,
                        numbers,
                        numbers,
                    )
                )
                for balancer in draw(st.sets(names, max_size=2))
            ]
    signs = st.builds(AgentSign, names, st.sampled_from(Role), times, names, names)
    agents = draw(st.lists(signs, max_size=3, unique_by=lambda sign: (sign.host, sign.role)))
    return Snapshot(NOW, services, desired, rollouts, instances, tuple(sightings), tuple(agents))


def write(server: LedgerServer, snapshot: Snapshot) -> None:
    """Put a whole ledger there, row by row."""
    server.empty()
    address = server.address("postgres")
    with psycopg.connect(host=address.host, dbname=DATABASE, user="postgres") as raw:

        def insert(table: str, *rows: dict[str, Any]) -> None:
            for row in rows:
                columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
                raw.execute(
                    f"INSERT INTO stellwerk.{table} ({columns}) OVERRIDING SYSTEM VALUE"
                    f" VALUES ({places})",
                    [str(value) if isinstance(value, State) else value for value in row.values()],
                )

        insert("services", *(vars(one) for one in snapshot.services.values()))
        insert(
            "desired",
            *(
                {"service": service, "host": host, "instances": count}
                for (service, host), count in snapshot.desired.items()
            ),
        )
        insert("rollouts", *(vars(one) for one in snapshot.rollouts.values()))
        insert("instances", *(keyed(one) for one in snapshot.instances.values()))
        insert("sightings", *(keyed(one) for one in snapshot.sightings))
        insert("agents", *(vars(one) for one in snapshot.agents))


def keyed(row: Instance | Sighting) -> dict[str, Any]:
    columns = dict(vars(row))
    return {**columns.pop("key")._asdict(), **columns}


def comparable(snapshot: Snapshot) -> Snapshot:
    return replace(
        snapshot,
        at=NOW,
        sightings=tuple(sorted(snapshot.sightings, key=lambda one: (one.key, one.balancer))),
        agents=tuple(sorted(snapshot.agents, key=lambda one: (one.host, one.role))),
    )


@given(snapshots())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_snapshot_is_what_was_written(ledger_server: LedgerServer, written: Snapshot) -> None:
    async def read() -> tuple[Snapshot, dict[str, Snapshot]]:
        async with ledger_server.connected() as ledger:
            parts = {}
            for service in written.services:
                async with ledger.locked(service) as changes:
                    parts[service] = changes.snapshot
            return await ledger.snapshot(), parts

    write(ledger_server, written)
    whole, parts = asyncio.run(read())
    assert comparable(whole) == comparable(written)
    for service, part in parts.items():
        assert set(part.services) == {service}
        assert part.of(service) == whole.of(service)
        assert all(key.service == service for key in part.instances)
        assert part.agents == whole.agents
