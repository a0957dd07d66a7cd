"""Whatever goes away while services are scaled up and under load: no request fails, no instance is
taken or restarted, and the cluster is whole again afterwards.

Minutes are shortened by the settings: the same number of judgements passes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.clocks import BY_CLUSTER, Clock, Daemon, own_clocks
from tests.lab.platform import Platform
from tests.lab.rows import rows
from tests.lab.scaled import (
    APPS,
    CHECK_SECONDS,
    CORE,
    FRONTEND,
    MONITORS,
    MOVE_SECONDS,
    ask,
    clients,
    explain,
    has,
    instances_running,
    judged,
    leader,
    order,
    placed,
    said,
    scaling,
    services,
    status,
)
from tests.lab.traffic import Traffic
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

BASE, MORE = 80, 25  # requests a second through each balancer: always, and within a test
HOURS = 3600 * 3
WAIT_SECONDS = 90.0
DATABASE, BALANCER = "db-1", "lb-1"
RESTARTS = 3


@pytest.fixture(scope="module")
def loaded(scaled: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The cluster under a load that takes four instances of each service."""
    with clients(scaled, tmp_path_factory.mktemp("base") / "load", BASE, HOURS) as traffic:
        yield scaled
    print(f"Of all the time: {traffic.requests} requests, failed {traffic.failures}")


def settle(platform: Platform) -> None:
    """Have four instances of each service, as many as the load takes by the rules."""
    if all(one["desired"] == one["serving"] == 4 for one in services(platform).values()):
        return
    order(platform, 4)
    has(platform, 4)
    # Each measures over a minute: before, it says what it had when there were more or fewer.
    right = (
        "SELECT bool_and(said BETWEEN 16 AND 29) FROM (SELECT DISTINCT ON (service, port)"
        " (metrics->>'requests_per_second')::float8 AS said FROM stellwerk.scaling_samples"
        f" JOIN stellwerk.instances USING (service, port) WHERE service IN ('{CORE}', '{FRONTEND}')"
        " ORDER BY service, port, at DESC) AS newest"
    )
    assert wait_until(lambda: ask(platform, right) == "t", MOVE_SECONDS, 0.5), explain(platform)
    scaling(platform, "resume")


@contextmanager
def unharmed(platform: Platform, folder: Path) -> Iterator[frozenset[str]]:
    """A fault, and its end: no request fails meanwhile, and every instance that ran before, which
    the context has, runs on. Both services have what they had, and both scalers are there.
    """
    settle(platform)
    running = frozenset(instances_running(platform))
    with clients(platform, folder / "clients", MORE) as traffic:
        yield running
        has(platform, 4)
        assert running <= instances_running(platform), explain(platform)
        assert wait_until(lambda: scalers(platform) == set(MONITORS), WAIT_SECONDS, 0.5)
    assert_served(platform, traffic)


def assert_served(platform: Platform, traffic: Traffic) -> None:
    assert traffic.failures == {}, explain(platform)
    assert traffic.requests > 0


def scalers(platform: Platform) -> set[str]:
    """The hosts whose scaler leads or stands by."""
    found = status(platform)
    return {found["leader"], *found["standing_by"]} - {None}


def stays(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition holds for so long, whenever one looks."""
    return not wait_until(lambda: not condition(), seconds, 0.5)


TIMES = {"10 judgements": 10, "10 minutes": 600 // CHECK_SECONDS}


@pytest.mark.parametrize("name", rows(TIMES))
def test_nothing_is_removed_while_no_metrics_are_to_be_had(
    loaded: Platform, tmp_path: Path, name: str
) -> None:
    """Six instances are more than the load takes: once metrics are back, some go."""
    settle(loaded)
    order(loaded, 6)
    has(loaded, 6)
    running = instances_running(loaded)
    with clients(loaded, tmp_path / "clients", MORE) as traffic:
        # Balancers and agents ask the instances as before; only the scalers cannot.
        loaded.shells(MONITORS, "sudo ip rule add pref 9 ipproto tcp dport 8100-8499 prohibit")
        try:
            scaling(loaded, "resume")
            assert wait_until(lambda: is_blind(loaded), WAIT_SECONDS, 0.5), explain(loaded)
            judged(loaded, TIMES[name])
            assert is_blind(loaded), explain(loaded)
            assert running == instances_running(loaded), explain(loaded)
        finally:
            loaded.shells(MONITORS, "sudo ip rule delete pref 9")
    assert_served(loaded, traffic)
    assert wait_until(lambda: has_fewer(loaded, 6), MOVE_SECONDS, 0.5), explain(loaded)


def is_blind(platform: Platform) -> bool:
    """Whether both services were last judged without their metric."""
    return all(
        any(vote["missing"] for vote in one["decision"]["votes"])
        for one in services(platform).values()
    )


def has_fewer(platform: Platform, count: int) -> bool:
    return all(one["desired"] < count for one in services(platform).values())


def postgresql(platform: Platform) -> str:
    """The unit of the ledger's server."""
    return platform.shell(
        DATABASE, "systemctl list-units 'postgresql@*' --no-legend --plain | cut -d' ' -f1"
    )


AWAY = {"5 intervals": 5 * CHECK_SECONDS, "5 minutes": 300}


@pytest.mark.parametrize("name", rows(AWAY, "5 intervals"))
def test_while_postgresql_is_away_nothing_moves(
    loaded: Platform, tmp_path: Path, name: str
) -> None:
    unit = postgresql(loaded)
    with unharmed(loaded, tmp_path) as running:
        loaded.shell(DATABASE, f"sudo systemctl stop {unit}")
        try:
            for host in MONITORS:
                assert wait_until(lambda host=host: "Nothing moves" in said(loaded, host), 60)  # type: ignore[misc]
            assert stays(lambda: instances_running(loaded) == running, AWAY[name])
        finally:
            loaded.shell(DATABASE, f"sudo systemctl start {unit}")
        judged(loaded, 3)


@pytest.mark.parametrize("signal", rows(["KILL", "STOP"], "STOP"))
def test_another_scaler_leads_when_the_leader_dies_or_freezes(
    loaded: Platform, tmp_path: Path, signal: str, record_property: Callable[[str, object], None]
) -> None:
    with unharmed(loaded, tmp_path):
        first = leader(loaded)
        assert first is not None
        loaded.shell(first, f"sudo systemctl kill -s {signal} stellwerk-scaler")
        began = time.monotonic()
        try:
            assert wait_until(lambda: leader(loaded) not in (first, None), 60), explain(loaded)
            record_property(f"leads_after_{signal}_seconds", time.monotonic() - began)
            judged(loaded, 3)
        finally:
            loaded.shell(first, "sudo systemctl kill -s CONT stellwerk-scaler")


AGENTS = {"app-1": ("app-1",), "lb-1": ("lb-1",), "all of them": (*APPS, BALANCER)}


@pytest.mark.parametrize("name", rows(AGENTS))
def test_instances_serve_on_and_count_while_an_agent_is_dead(
    loaded: Platform, tmp_path: Path, name: str
) -> None:
    hosts = AGENTS[name]
    silent = (
        "SELECT count(*) FROM stellwerk.agents WHERE seen_at < now() - interval '12 s' AND host IN"
        f" ({', '.join(repr(host) for host in hosts)})"
    )
    with unharmed(loaded, tmp_path) as running:
        stop = "sudo systemctl kill -s KILL stellwerk-agent; sudo systemctl stop stellwerk-agent"
        loaded.shells(hosts, stop)
        try:
            assert wait_until(lambda: int(ask(loaded, silent)) == len(hosts), WAIT_SECONDS, 0.5)
            judged(loaded, 5)
            has(loaded, 4)
            assert running == instances_running(loaded), explain(loaded)
        finally:
            loaded.shells(hosts, "sudo systemctl start stellwerk-agent")
        assert wait_until(lambda: ask(loaded, silent) == "0", WAIT_SECONDS, 0.5)
        judged(loaded, 2)


def test_an_app_host_without_power_is_made_up_for(
    loaded: Platform, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """What it was just answering is lost with it, and what HAProxy sends there while connections
    fail at once: how much that is depends on the moment, and is recorded.
    """
    settle(loaded)
    before = {one for one in instances_running(loaded) if one.startswith("app-1 ")}
    with clients(loaded, tmp_path / "meanwhile", MORE) as meanwhile:
        loaded.lab.power_off("app-2")
        try:
            assert wait_until(lambda: carried_by(loaded, "app-1"), MOVE_SECONDS, 0.5), explain(
                loaded
            )
            with clients(loaded, tmp_path / "without", MORE) as without:
                judged(loaded, 3)
            assert before <= instances_on(loaded, "app-1"), explain(loaded)
        finally:
            loaded.lab.power_on("app-2")
    record_property("failed_at_power_off", meanwhile.failures)
    assert_served(loaded, without)
    with clients(loaded, tmp_path / "back", MORE) as back:
        judged(loaded, 3)
    assert_served(loaded, back)
    assert wait_until(lambda: carried_by(loaded, *APPS), MOVE_SECONDS, 0.5), explain(loaded)


def carried_by(platform: Platform, *hosts: str) -> bool:
    """Whether both services serve from just these hosts, evenly, with no fewer than before. More
    may be taken by what was left while fewer served.
    """
    found = services(platform)
    return all(
        by_host.keys() == {*hosts}
        and max(by_host.values()) - min(by_host.values()) <= 1
        and 4 <= found[name]["desired"] == found[name]["serving"]
        for name, by_host in placed(platform).items()
    )


def instances_on(platform: Platform, host: str) -> set[str]:
    return {
        f"{unit} {invocation}"
        for unit, invocation in platform.invocations(host).items()
        if CORE in unit or FRONTEND in unit
    }


@pytest.mark.thorough
def test_an_instance_that_never_becomes_ready_is_told_of_and_never_capacity(
    loaded: Platform, tmp_path: Path
) -> None:
    fault = f"/run/systemd/system/{CORE}@.service.d"
    lines = r"[Service]\nEnvironment=SAMPLE_NEVER_READY=1\n"
    settle(loaded)
    running = instances_running(loaded)
    with clients(loaded, tmp_path / "clients", MORE) as traffic:
        loaded.shell(
            "app-1",
            f"sudo mkdir -p {fault}; printf '{lines}' | sudo tee {fault}/fault.conf >/dev/null;"
            " sudo systemctl daemon-reload",
        )
        try:
            began = loaded.shell("app-1", "date +%s")
            order(loaded, 6, CORE)
            assert wait_until(lambda: told(loaded, began) != "", MOVE_SECONDS, 0.5), explain(loaded)
            judged(loaded, 5)
            found = services(loaded)[CORE]
            assert (found["desired"], found["serving"]) == (6, 5), explain(loaded)
            assert running <= instances_running(loaded), explain(loaded)
        finally:
            loaded.shell("app-1", f"sudo rm -r {fault}; sudo systemctl daemon-reload")
        settle(loaded)
    assert_served(loaded, traffic)


def told(platform: Platform, since: str) -> str:
    """Failures of the core's instances on app-1 that the scalers have told of since a moment."""
    said = platform.shells(
        MONITORS,
        f"sudo journalctl -u stellwerk-scaler --since @{since} -o cat"
        f" | grep 'scaling_failure: {CORE}@[0-9]* on app-1' || true",
    )
    return "".join(said.values())


@pytest.mark.thorough
def test_haproxy_is_restarted(loaded: Platform, tmp_path: Path) -> None:
    with unharmed(loaded, tmp_path):
        for _ in range(RESTARTS):
            loaded.shell(BALANCER, "sudo systemctl restart haproxy")
        judged(loaded, 5)


@pytest.mark.thorough
def test_of_two_scalers_started_at_once_one_leads(loaded: Platform, tmp_path: Path) -> None:
    with unharmed(loaded, tmp_path) as running:
        number = ask(loaded, "SELECT max(id) FROM stellwerk.scaling_decisions")
        loaded.shells(MONITORS, "sudo systemctl stop stellwerk-scaler")
        loaded.shells(MONITORS, "sudo systemctl start stellwerk-scaler")
        assert wait_until(lambda: scalers(loaded) == set(MONITORS), WAIT_SECONDS, 0.5)
        judged(loaded, 5)
        # Two that judge by turns would see numbers that they have not decided.
        foreign = (
            "SELECT count(*) FROM (SELECT before, lag(after) OVER (PARTITION BY service ORDER BY"
            f" id) AS decided FROM stellwerk.scaling_decisions WHERE id >= {number}) AS chain"
            " WHERE decided <> before"
        )
        assert ask(loaded, foreign) == "0", explain(loaded)
        assert running == instances_running(loaded), explain(loaded)


CLOCKS = ("ledger", "scalers", "agent")
TWO_HOURS = 2 * 3600


@pytest.fixture(scope="module")
def clocks(loaded: Platform) -> Iterator[Mapping[str, Clock]]:
    """Those that time samples and decisions, and those of daemons that write them."""
    daemons = {
        "ledger": (Daemon(DATABASE, postgresql(loaded), BY_CLUSTER),),
        "scalers": tuple(Daemon(host, "stellwerk-scaler.service") for host in MONITORS),
        "agent": (Daemon("app-1", "stellwerk-agent.service"),),
    }
    with own_clocks(loaded, daemons) as found:
        yield found
    judged(loaded, 1)


@pytest.mark.thorough
@pytest.mark.parametrize("name", CLOCKS)
def test_when_a_clock_is_set_nothing_moves_and_orders_keep_their_length(
    loaded: Platform, clocks: Mapping[str, Clock], tmp_path: Path, name: str
) -> None:
    """An operator has ordered what the load takes for two hours, which is what the clock is set by:
    on, back to two hours before, and right again. The ledger's own is noticed, each time once.
    """
    newest = ask(loaded, "SELECT max(id) FROM stellwerk.events")
    noticed = f"SELECT count(*) FROM stellwerk.events WHERE kind = 'clock' AND id > {newest}"
    left = "SELECT round(extract(epoch FROM min(until) - now())) FROM stellwerk.scaling_orders"
    with unharmed(loaded, tmp_path) as running:
        order(loaded, 4)
        for seconds in (TWO_HOURS, -TWO_HOURS, 0):
            clocks[name].set(seconds)
            judged(loaded, 5)
            assert running == instances_running(loaded), explain(loaded)
            assert TWO_HOURS - 900 < int(ask(loaded, left)) <= TWO_HOURS, explain(loaded)
        scaling(loaded, "resume")
        judged(loaded, 5)
        assert running == instances_running(loaded), explain(loaded)
    assert ask(loaded, noticed) == ("3" if name == "ledger" else "0")
