"""A cluster with a shop on two app hosts behind a balancer, as its settings and its ledger say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Seen,
    Service,
    Sighting,
    Snapshot,
    State,
)
from stellwerk.scaling.records import CPU_OF_A_CORE, MEMORY_BYTES, Findings, Memory
from stellwerk.scaling.series import Series
from stellwerk.settings.files import HostFile, Member, settings_document
from stellwerk.settings.root import Settings
from tests.unit.instances.ledger_server import DATABASE

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MEGABYTE = 1024**2


def host_file(address: str = "192.0.2.41", **scaling: Any) -> HostFile:
    """What db-1 knows: the shop has 2 to 8 instances, more above 70 % CPU, fewer below 30 %."""
    service = {
        "port_base": 8100,
        "min_instances": 2,
        "max_instances": 8,
        "memory": "64MB",
        "balancer": "haproxy",
        "backend_name": "shop",
        "listen_port": 9100,
    }
    rules = {
        "cpu_percent": {"up_above": 70, "down_below": 30},
        "cooldown_down_seconds": 0,
        "stabilization_down_seconds": 0,
    }
    settings = Settings.model_validate(
        {
            "services": {"shop": service},
            "scaling": {"services": {"shop": rules}, **scaling},
        }
    )
    return HostFile(
        "db-1",
        (
            Member("lb-1", "192.0.2.11", ("balancers",)),
            Member("app-1", "192.0.2.21", ("apps",)),
            Member("app-2", "192.0.2.22", ("apps",)),
            Member("db-1", address, ("databases", "monitors")),
        ),
        settings,
    )


def document(address: str) -> dict[str, Any]:
    """The settings file of db-1, with the ledger at an address."""
    host = host_file(address)
    members = {
        one.name: {"address": one.address, "groups": list(one.groups)} for one in host.members
    }
    return {
        "host": "db-1",
        "members": members,
        "settings": settings_document(host.settings) | {"postgresql": {"database": DATABASE}},
    }


def instance(number: int, state: State = State.READY, *, host: str | None = None) -> Instance:
    """Odd ones are on app-1, even ones on app-2."""
    place = host or f"app-{2 - number % 2}"
    return Instance(
        InstanceKey("shop", 8100 + number),
        place,
        "192.0.2.21",
        "1" * 16,
        0,
        state,
        NOW - timedelta(days=1),
    )


def findings(
    cpu: float | None,
    instances: Sequence[Instance] = (instance(1), instance(2)),
    *,
    desired: Mapping[str, int] | None = None,
    down: Sequence[int] = (),
    memory: Memory | None = None,
    **changed: Any,
) -> Findings:
    """A ledger in which all ready instances serve with the same CPU, but for those of the numbers
    in `down`, to which the balancer sends nothing.
    """
    counts: dict[str, int] = {}
    for one in instances:
        counts[one.host] = counts.get(one.host, 0) + 1
    hosts = counts if desired is None else desired
    out = {8100 + number for number in down}
    snapshot = Snapshot(
        NOW,
        {"shop": Service("shop", "1" * 16, "1" * 16, 0)},
        {("shop", host): count for host, count in hosts.items()},
        {},
        {one.key: one for one in instances},
        tuple(
            Sighting(one.key, "lb-1", Seen.DOWN if one.key.port in out else Seen.UP)
            for one in instances
            if one.state is State.READY
        ),
    )
    end = NOW.timestamp()
    times = [end - 10 * back for back in range(360, -1, -1)]
    series = {
        one.key: {
            CPU_OF_A_CORE: Series(times, [cpu] * len(times)),
            MEMORY_BYTES: Series(times, [32.0 * MEGABYTE] * len(times)),
        }
        for one in instances
        if cpu is not None
    }
    found = Findings(
        snapshot,
        {"shop": memory} if memory else {},
        {"shop": NOW - timedelta(seconds=60)},
        {},
        series,
        {},
    )
    return replace(found, **changed)
