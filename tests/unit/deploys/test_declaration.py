"""The ledger is told what differs and nothing else; the scaler's numbers stay (C5, C6)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components import declaration
from deploys.components.declaration import EMPTY, Wanted, desired_counts, statements
from deploys.components.generations import Generation
from stellwerk.database.statement import Statement, psql_script
from stellwerk.instances.documents import SNAPSHOT_QUERY, parse_snapshot
from stellwerk.instances.migrations import migration_statements
from stellwerk.instances.model import Rollout, RolloutState, Service, Snapshot
from stellwerk.settings import services as settings
from tests.unit.database.postgres_server import Server, find_binaries, running

HOSTS = ("app-1", "app-2", "app-3")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def service(least: int, most: int) -> settings.Service:
    return settings.Service.model_validate(
        {"port_base": 8100, "min_instances": least, "max_instances": most, "memory": "64MB"}
    )


def generation(name: str, digest: str = "a") -> Generation:
    return Generation(name, digest * 16, "1-abc")


def wanting(services: Mapping[str, settings.Service], **changed: object) -> Wanted:
    found = Wanted(
        database="postgres",
        services=services,
        generations={name: generation(name) for name in services},
        apps=HOSTS,
        balancers=("lb-1",),
        generations_kept=3,
        agent_role="agent",
        addresses=("10.0.0.1",),
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def having(counts: Mapping[str, Mapping[str, int]]) -> Snapshot:
    """A ledger with these desired numbers, where all roll-outs are done."""
    rollouts = {
        number: Rollout(number, name, "a" * 16, None, RolloutState.DONE, NOW, NOW, "deploy")
        for number, name in enumerate(counts, 1)
    }
    return Snapshot(
        at=NOW,
        services={
            one.service: Service(one.service, "a" * 16, "a" * 16, one.id)
            for one in rollouts.values()
        },
        desired={
            (name, host): number
            for name, by_host in counts.items()
            for host, number in by_host.items()
        },
        rollouts=rollouts,
    )


numbers = st.dictionaries(st.sampled_from([*HOSTS, "gone"]), st.integers(0, 12))


@st.composite
def bounds(draw: st.DrawFn) -> settings.Service:
    most = draw(st.integers(1, 12))
    return service(draw(st.integers(1, most)), most)


@given(st.dictionaries(st.sampled_from("abc"), st.tuples(bounds(), numbers), min_size=1))
def test_every_service_has_a_number_within_its_bounds(
    given_services: dict[str, tuple[settings.Service, dict[str, int]]],
) -> None:
    wanted = wanting({name: one for name, (one, _) in given_services.items()})
    counts = desired_counts(wanted, having({name: n for name, (_, n) in given_services.items()}))
    for name, (one, _) in given_services.items():
        assert one.min_instances <= sum(counts[name].values()) <= one.max_instances
        assert set(counts[name]) == set(HOSTS)


@given(bounds(), st.dictionaries(st.sampled_from(HOSTS), st.integers(0, 12)))
def test_a_number_within_its_bounds_stays_where_it_is(
    one: settings.Service, present: dict[str, int]
) -> None:
    if not one.min_instances <= sum(present.values()) <= one.max_instances:
        return
    counts = desired_counts(wanting({"a": one}), having({"a": present}))
    assert counts["a"] == {host: present.get(host, 0) for host in HOSTS}


@given(st.integers(1, 12), st.integers(1, 3))
def test_a_first_number_is_the_minimum_spread_evenly(least: int, hosts: int) -> None:
    wanted = wanting({"a": service(least, 12)}, apps=HOSTS[:hosts])
    counts = desired_counts(wanted, EMPTY)["a"].values()
    assert sum(counts) == least
    assert max(counts) - min(counts) <= 1


def test_services_with_one_instance_do_not_all_land_on_one_host() -> None:
    counts = desired_counts(wanting({name: service(1, 2) for name in "abc"}), EMPTY)
    assert [sum(one[host] for one in counts.values()) for host in HOSTS] == [1, 1, 1]


def test_a_host_that_is_gone_leaves_its_number_to_the_others() -> None:
    counts = desired_counts(
        wanting({"a": service(1, 9)}), having({"a": {"app-1": 2, "app-2": 1, "gone": 3}})
    )
    assert counts["a"] == {"app-1": 2, "app-2": 2, "app-3": 2}


@pytest.mark.parametrize("present", [1, 12])
def test_what_the_scaler_judged_by_the_same_bounds_is_left_alone(present: int) -> None:
    scaled = wanting({"a": service(2, 8)}, scaled=["a"])
    seen = replace(having({"a": {"app-1": present}}), judged={"a": (2, 8)})
    assert sum(desired_counts(scaled, seen)["a"].values()) == present


@pytest.mark.parametrize(("present", "repaired"), [(1, 2), (12, 8), (0, 2)])
def test_a_number_is_repaired_for_new_bounds_and_where_nobody_scales(
    present: int, repaired: int
) -> None:
    wanted = wanting({"a": service(2, 8)})
    seen = replace(having({"a": {"app-1": present}}), judged={"a": (2, 8)})
    others = replace(seen, judged={"a": (1, 12)})
    for one, ledger in ((wanted, seen), (replace(wanted, scaled=["a"]), others)):
        assert sum(desired_counts(one, ledger)["a"].values()) == repaired


def test_a_new_host_gets_nothing_until_it_is_needed() -> None:
    present = having({"a": {"app-1": 2, "app-2": 2}})
    assert desired_counts(wanting({"a": service(2, 8)}), present)["a"]["app-3"] == 0
    assert desired_counts(wanting({"a": service(5, 8)}), present)["a"]["app-3"] == 1


def test_a_ledger_that_is_as_wanted_is_left_alone() -> None:
    present = having({"a": {"app-1": 1, "app-2": 1}})
    assert statements(wanting({"a": service(1, 4)}), present) == ()


def test_another_generation_is_rolled_out_and_the_number_is_left_alone() -> None:
    wanted = wanting({"a": service(1, 4)}, generations={"a": generation("a", "b")})
    (statement,) = statements(wanted, having({"a": {"app-1": 3}}))
    assert statement.summary == f"a: generation {'b' * 16}"
    assert "stellwerk.desired" not in statement.sql


@pytest.mark.parametrize(
    ("state", "declared"),
    [
        (RolloutState.RUNNING, False),
        (RolloutState.DONE, False),
        (RolloutState.FAILED, True),
    ],
)
def test_a_generation_is_declared_again_only_where_its_last_rollout_failed(
    state: RolloutState, declared: bool
) -> None:
    present = having({"a": {"app-1": 1}})
    rolled = {number: replace(one, state=state) for number, one in present.rollouts.items()}
    found = statements(wanting({"a": service(1, 4)}), replace(present, rollouts=rolled))
    assert bool(found) == declared


def test_a_generation_that_some_host_lacks_is_not_declared_but_numbers_are_repaired() -> None:
    wanted = wanting({"a": service(2, 4), "new": service(1, 1)}, generations={})
    (statement,) = statements(wanted, having({"a": {"app-1": 1}}))
    assert statement.summary == "a: 1 on app-2"


def test_a_service_that_is_gone_is_wanted_nowhere_before_it_is_forgotten() -> None:
    snapshot = having({"a": {"app-1": 1, "app-2": 0, "gone": 2}, "b": {"app-1": 1}})
    (statement,) = declaration.leave("postgres", {"b"}, snapshot)
    assert statement.summary == "a: 0 on app-1; 0 on gone"
    assert declaration.leave("postgres", {"a", "b"}, snapshot) == ()


def test_a_service_that_is_gone_is_forgotten() -> None:
    (statement,) = statements(wanting({}), having({"a": {"app-1": 1}}))
    assert statement.summary == "a: is no service any more"


@pytest.mark.parametrize(
    "answer",
    [{}, {"error": "no answer"}, {"ledger": {"version": 99, "snapshot": None}}],
)
def test_nothing_is_declared_while_the_ledger_is_not_known(answer: dict[str, object]) -> None:
    assert declaration.plan(wanting({"a": service(1, 4)}), answer) == ()


def test_a_first_run_declares_everything() -> None:
    fresh = {"ledger": {"version": 0, "snapshot": None}}
    (statement,) = declaration.plan(wanting({"a": service(1, 4)}), fresh)
    assert statement.summary == f"a: generation {'a' * 16}; 1 on app-1"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with an empty ledger; each test fills it anew."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with running(binaries) as started:
        schema = Statement("", "CREATE SCHEMA IF NOT EXISTS stellwerk", "postgres")
        started.psql(psql_script([schema, *migration_statements(0, "postgres")]))
        yield started


def in_ledger(server: Server) -> Snapshot:
    return parse_snapshot(server.psql(f"{SNAPSHOT_QUERY};"))


def declare(server: Server, wanted: Wanted) -> Snapshot:
    """Run what a deploy would, and return what the ledger then says."""
    server.psql(psql_script(statements(wanted, in_ledger(server))))
    return in_ledger(server)


@pytest.fixture
def ledger(server: Server) -> Server:
    """The server with nothing in its ledger."""
    server.psql("TRUNCATE stellwerk.services, stellwerk.agents, stellwerk.events CASCADE;")
    return server


@pytest.mark.programs
def test_a_second_declaration_changes_nothing(ledger: Server) -> None:
    wanted = wanting({"a": service(2, 4), "b-c": service(1, 2)})
    found = declare(ledger, wanted)
    assert statements(wanted, found) == ()
    assert found.services["a"].generation == "a" * 16
    assert found.services["a"].stable is None
    assert found.rollouts[found.services["a"].rollout].state is RolloutState.RUNNING
    assert sum(n for (name, _), n in found.desired.items() if name == "a") == 2


@pytest.mark.programs
def test_a_newer_generation_replaces_a_running_rollout_and_starts_from_the_proven_one(
    ledger: Server,
) -> None:
    wanted = wanting({"a": service(1, 4)})
    first = declare(ledger, wanted)
    ledger.psql(f"UPDATE stellwerk.services SET stable = '{'a' * 16}';")
    second = declare(ledger, replace(wanted, generations={"a": generation("a", "b")}))
    states = ledger.psql("SELECT state FROM stellwerk.rollouts ORDER BY id;").split()
    current = second.rollouts[second.services["a"].rollout]
    assert states == ["replaced", "running"]
    assert (current.generation, current.previous) == ("b" * 16, "a" * 16)
    assert second.desired == first.desired


@pytest.mark.programs
def test_the_newest_generations_and_those_in_use_are_remembered(ledger: Server) -> None:
    wanted = wanting({"a": service(1, 4)})
    declare(ledger, wanted)
    ledger.psql(
        "INSERT INTO stellwerk.instances (service, port, host, address, generation)"
        f" VALUES ('a', 8101, 'app-1', '10.0.0.1', '{'a' * 16}');"
    )
    for digest in "bcdef":
        declare(ledger, replace(wanted, generations={"a": generation("a", digest)}))
    known = ledger.psql("SELECT generation FROM stellwerk.generations ORDER BY 1;").split()
    assert known == [digest * 16 for digest in "adef"]


def tidy(server: Server, wanted: Wanted) -> Snapshot:
    """Run what a deploy does while it waits, and return what the ledger then says."""
    server.psql(";\n".join((*declaration.removals(wanted), "")))
    return in_ledger(server)


@pytest.fixture
def leaving(ledger: Server) -> Server:
    """One of two instances is on a host that is gone, and both are in rotation."""
    declare(ledger, wanting({"a": balanced()}, apps=("app-1", "gone")))
    ledger.psql(
        "UPDATE stellwerk.desired SET instances = 1;"
        "INSERT INTO stellwerk.instances (service, port, host, address, generation, state)"
        " VALUES ('a', 8101, 'gone', '10.0.0.9', 'x', 'ready'),"
        " ('a', 8102, 'app-1', '10.0.0.1', 'x', 'ready');"
        "INSERT INTO stellwerk.sightings (service, port, balancer, seen)"
        " VALUES ('a', 8101, 'lb-1', 'up'), ('a', 8101, 'old-lb', 'up'), ('a', 8102, 'lb-1', 'up');"
        "INSERT INTO stellwerk.agents (host, role) VALUES ('gone', 'apps'), ('app-1', 'apps');"
    )
    return ledger


def balanced() -> settings.Service:
    """A service with two instances behind HAProxy."""
    return settings.Service.model_validate(
        {
            **{"port_base": 8100, "min_instances": 2, "max_instances": 4, "memory": "64MB"},
            **{"balancer": "haproxy", "listen_port": 9100, "backend_name": "a_backend"},
        }
    )


@pytest.mark.programs
def test_an_instance_on_a_host_that_is_gone_leaves_when_another_serves_in_its_place(
    leaving: Server,
) -> None:
    wanted = wanting({"a": balanced()})

    def leave() -> dict[int, bool]:
        found = tidy(leaving, wanted)
        return {key.port: one.leaves_for_good for key, one in found.instances.items()}

    found = declare(leaving, wanted)
    assert sum(found.desired.values()) == 2
    assert "gone" not in {host for _, host in found.desired}
    assert leave() == {8101: False, 8102: False}
    leaving.psql(
        "INSERT INTO stellwerk.instances (service, port, host, address, generation, state)"
        " VALUES ('a', 8103, 'app-2', '10.0.0.2', 'x', 'ready');"
    )
    assert not leave()[8101]  # no balancer sends it requests yet
    leaving.psql(
        "INSERT INTO stellwerk.sightings (service, port, balancer, seen)"
        " VALUES ('a', 8103, 'lb-1', 'up');"
    )
    assert leave() == {8101: True, 8102: False, 8103: False}


@pytest.mark.programs
def test_instances_and_agents_of_hosts_that_are_gone_are_forgotten_when_no_balancer_has_them(
    leaving: Server,
) -> None:
    wanted = wanting({"a": balanced()})
    declare(leaving, wanted)
    leaving.psql("UPDATE stellwerk.instances SET state = 'draining', purpose = 'retire'"
                 " WHERE host = 'gone';")  # fmt: skip
    found = tidy(leaving, wanted)
    assert len(found.instances) == 2
    assert {one.host for one in found.agents} == {"gone", "app-1"}
    leaving.psql("UPDATE stellwerk.sightings SET seen = 'out' WHERE port = 8101;")
    found = tidy(leaving, wanted)
    assert [key.port for key in found.instances] == [8102]
    assert {one.host for one in found.agents} == {"app-1"}
    assert statements(wanted, found) == ()


@pytest.mark.programs
def test_an_agent_without_instances_that_is_gone_is_forgotten_at_once(ledger: Server) -> None:
    wanted = wanting({"a": service(1, 4)})
    declare(ledger, wanted)
    ledger.psql("INSERT INTO stellwerk.agents (host, role) VALUES ('old-lb', 'balancers');")
    (statement,) = statements(wanted, in_ledger(ledger))
    assert statement.summary == "old-lb: no agent in balancers"
    assert declare(ledger, wanted).agents == ()
