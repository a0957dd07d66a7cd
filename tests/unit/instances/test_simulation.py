"""Several agents over one simulated cluster: what they do together, also when things go wrong."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from stellwerk.instances.model import InstanceKey, RolloutState, Seen, State
from tests.properties import one_in
from tests.unit.instances.faults import CANARY, Course, Event, events
from tests.unit.instances.invariants import Invariants
from tests.unit.instances.simulation import (
    BAD,
    BETTER,
    GOOD,
    AppHost,
    World,
    figures,
)

CORE, SINGLE, PLAIN = "core", "single", "plain"
COUNTS = {CORE: {"app-1": 2, "app-2": 2}, SINGLE: {"app-1": 1}, PLAIN: {"app-2": 3}}
HOUR = 3600


def installed(seed: int = 0, services: tuple[str, ...] = (CORE, SINGLE, PLAIN)) -> World:
    """A cluster that runs a good generation of everything."""
    every = {
        CORE: figures(CORE, 8100),
        SINGLE: figures(SINGLE, 8200),
        PLAIN: figures(PLAIN, 8300, balanced=False),
    }
    world = World({name: every[name] for name in services}, seed=seed)
    for service in services:
        world.declare(service, GOOD, COUNTS[service])
    assert world.run(120, world.settled)
    return world


def run(world: World, seconds: int, until: Callable[[], bool] = lambda: False) -> bool:
    """Let time pass under the invariants."""
    invariants = Invariants(world)
    for _ in range(seconds):
        if until():
            return True
        world.tick()
        invariants.check()
    return until()


def invocations(world: World) -> dict[InstanceKey, str]:
    """Which processes run."""
    hosts = world.hosts.values()
    return {key: unit.invocation for host in hosts for key, unit in host.units.items()}


def failed(world: World, service: str) -> Callable[[], bool]:
    return lambda: world.rollout(service).state is RolloutState.FAILED


def test_a_first_install_runs_what_is_declared() -> None:
    world = installed()
    generations = {one.generation for one in world.ledger.instances.values()}
    assert generations == {GOOD}
    assert len(world.ledger.instances) == 8


@pytest.mark.parametrize("seed", range(3))
def test_a_good_generation_reaches_every_instance_and_enough_serve_all_the_time(seed: int) -> None:
    world = installed(seed)
    for service in world.services:
        world.ledger.start_rollout(service, BETTER, **CANARY)
    fewest = dict.fromkeys(world.services, HOUR)
    invariants = Invariants(world)
    while not world.settled():
        world.tick()
        invariants.check()
        for service in world.services:
            fewest[service] = min(fewest[service], len(world.in_rotation(service)))
        assert world.second < HOUR
    assert fewest == {CORE: 3, SINGLE: 1, PLAIN: 2}


def test_a_rolling_restart_starts_every_process_anew() -> None:
    world = installed()
    before = invocations(world)
    for service in (CORE, PLAIN):
        world.ledger.start_rollout(service, GOOD, restart=True, **CANARY)
    assert run(world, HOUR, world.settled)
    after = invocations(world)
    assert {key.service for key in before if before[key] == after[key]} == {SINGLE}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("service", [CORE, SINGLE])
def test_a_bad_generation_stops_at_its_canary_and_undo_brings_the_old_one_back(
    service: str, bad: str
) -> None:
    world = installed(services=(service,))
    world.ledger.start_rollout(service, bad, **CANARY)
    fewest = len(world.in_rotation(service))

    def stopped() -> bool:
        nonlocal fewest
        fewest = min(fewest, len(world.in_rotation(service)))
        return failed(world, service)()

    assert run(world, HOUR, stopped)
    rollout = world.rollout(service)
    assert rollout.reason
    assert rollout.failed_instance == f"{service}@{rollout.canary}"
    assert not run(world, 600, lambda: not failed(world, service)())
    others = {
        one.generation
        for one in world.ledger.instances.values()
        if str(one.key) != rollout.failed_instance
    }
    assert others == {GOOD}
    assert fewest == (1 if service == SINGLE else 3)
    world.ledger.start_rollout(service, GOOD, **CANARY)
    assert run(world, HOUR, world.settled)


@pytest.mark.parametrize("service", [CORE, SINGLE])
def test_a_failed_roll_out_resumes_with_another_canary_once_its_cause_is_gone(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = installed(services=(service,))
    with monkeypatch.context() as broken:
        broken.setattr(AppHost, "healthy", lambda *_: False)
        world.ledger.start_rollout(service, BETTER, **CANARY)
        assert world.run(HOUR, failed(world, service))
    world.ledger.start_rollout(service, BETTER, **CANARY)
    assert run(world, HOUR, world.settled)
    assert {one.generation for one in world.ledger.instances.values()} == {BETTER}


def test_a_canary_that_balancers_cannot_reach_fails_the_roll_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = installed(services=(CORE,))
    world.ledger.start_rollout(CORE, BETTER, **CANARY)

    def reached(key: InstanceKey) -> bool:
        return any(
            host.runs.get(key) == GOOD and host.healthy(key) for host in world.hosts.values()
        )

    monkeypatch.setattr(world, "healthy", reached)
    assert run(world, 300, failed(world, CORE))
    assert "health checks from lb-1 fail" in world.rollout(CORE).reason


def test_a_service_with_one_instance_gets_its_successor_first() -> None:
    world = installed(services=(SINGLE,))
    world.ledger.start_rollout(SINGLE, BETTER, **CANARY)
    seen = []

    def done() -> bool:
        seen.append(len(world.in_rotation(SINGLE)))
        return world.settled()

    assert run(world, HOUR, done)
    assert min(seen) == 1
    assert max(seen) == 2


def test_a_service_with_one_port_is_rolled_in_place() -> None:
    world = World({SINGLE: figures(SINGLE, 8004, ports=1, balanced=False)})
    world.declare(SINGLE, GOOD, {"app-1": 1})
    assert world.run(60, world.settled)
    world.ledger.start_rollout(SINGLE, BETTER, **CANARY)
    assert run(world, 300, world.settled)


def test_fewer_are_wanted_the_highest_port_leaves_after_its_requests() -> None:
    world = installed(services=(CORE,))
    world.ledger.desired[CORE, "app-2"] = 1
    before = {one.key for one in world.ledger.instances.values() if one.host == "app-2"}
    assert run(world, 300, world.settled)
    after = {one.key for one in world.ledger.instances.values() if one.host == "app-2"}
    assert after == {min(before)}


def test_a_rise_before_the_stop_keeps_what_was_leaving() -> None:
    world = installed(services=(CORE,))
    before = dict(world.hosts["app-2"].units)
    world.ledger.desired[CORE, "app-2"] = 1
    draining = lambda: any(  # noqa: E731
        one.state is State.DRAINING for one in world.ledger.instances.values()
    )
    assert run(world, 60, draining)
    world.ledger.desired[CORE, "app-2"] = 2
    assert run(world, 60, world.settled)
    assert world.hosts["app-2"].units == before


def test_the_last_instance_that_serves_does_not_retire_before_another_serves() -> None:
    world = installed(services=(SINGLE,))
    world.ledger.desired[SINGLE, "app-1"] = 0
    world.ledger.desired[SINGLE, "app-2"] = 1
    served = []

    def moved() -> bool:
        served.append(len(world.in_rotation(SINGLE)))
        return world.settled()

    assert run(world, 300, moved)
    assert min(served) == 1


def test_a_service_of_which_none_is_wanted_leaves_altogether() -> None:
    world = installed(services=(SINGLE,))
    world.ledger.desired[SINGLE, "app-1"] = 0
    assert run(world, 300, lambda: not world.ledger.instances)
    assert not world.hosts["app-1"].pins


def test_nothing_is_stopped_on_an_emptied_ledger_and_everything_is_taken_in_again() -> None:
    world = installed(services=(CORE,))
    before = {name: dict(host.units) for name, host in world.hosts.items()}
    invariants = Invariants(world)
    world.ledger.empty()
    assert world.run(300, lambda: len(world.in_rotation(CORE)) == 4)
    world.run(300)
    assert not invariants.stops
    assert {name: host.units for name, host in world.hosts.items()} == before
    assert all(one.state is State.READY for one in world.ledger.instances.values())


def test_an_instance_that_an_operator_holds_out_runs_on_and_is_rolled_like_the_others() -> None:
    world = installed(services=(CORE,))
    key = InstanceKey(CORE, 8100)
    world.ledger.instances[key] = replace(world.ledger.instances[key], held=True)
    out = lambda: all(one.seen[key] is Seen.OUT for one in world.balancers.values())  # noqa: E731
    assert run(world, 60, out)
    world.ledger.start_rollout(CORE, BETTER, **CANARY)
    assert run(world, HOUR, world.settled)
    assert world.ledger.instances[key].held
    assert world.ledger.instances[key].generation == BETTER
    assert world.rollout(CORE).canary != key.port


def test_a_lost_agent_on_a_serving_balancer_is_waited_for() -> None:
    world = installed(services=(CORE,))
    world.balancers["lb-1"].agent = False
    run(world, 60)
    world.ledger.start_rollout(CORE, BETTER, **CANARY)
    assert not run(world, 600, world.settled)
    (waiting,) = (one for one in world.ledger.instances.values() if one.purpose)
    assert "lb-1" in waiting.reason
    world.balancers["lb-1"].agent = True
    assert run(world, HOUR, world.settled)


def test_a_balancer_that_serves_nobody_is_not_waited_for() -> None:
    world = installed(services=(CORE,))
    world.balancers["lb-1"].agent = world.balancers["lb-1"].serves = False
    run(world, 60)
    world.ledger.start_rollout(CORE, BETTER, **CANARY)
    assert run(world, HOUR, world.settled)


def test_a_powered_off_host_neither_fails_a_roll_out_nor_is_forgotten() -> None:
    for wait in range(0, 60, 6):
        world = installed(services=(CORE,))
        world.ledger.start_rollout(CORE, BETTER, **CANARY)
        run(world, wait)
        world.hosts["app-1"].power_off()
        run(world, 120)
        world.hosts["app-1"].power_on(world.second)
        assert run(world, HOUR, world.settled), f"powered off after {wait} s"


def test_an_instance_that_fails_is_tried_again_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = installed(services=(PLAIN,))
    host, key = world.hosts["app-2"], InstanceKey(PLAIN, 8300)
    reach = host.healthy
    monkeypatch.setattr(host, "healthy", lambda one: one != key and reach(one))
    host.crash(key, world.second)
    run(world, HOUR)
    retried = [at for at, kind, one, _ in world.ledger.events if kind == "retried" and one == key]
    pauses = [round((b - a).total_seconds()) for a, b in pairwise(retried)]
    assert pauses[:5] == sorted(pauses[:5])
    assert 300 <= pauses[-1] <= 340
    assert world.in_rotation(PLAIN) == {InstanceKey(PLAIN, 8301), InstanceKey(PLAIN, 8302)}


# Whatever goes wrong.


@one_in(5, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), plan=events)
def test_whatever_goes_wrong_the_rules_hold_and_it_ends_as_declared(
    seed: int, plan: list[Event]
) -> None:
    world = installed(seed)
    invariants, course = Invariants(world), Course(world, plan)
    while not course.over():
        course.go_on()
        world.tick()
        invariants.check()
    for service in world.services:
        world.ledger.start_rollout(service, BETTER, **CANARY)
    assert run(world, HOUR, world.settled), [
        (str(one.key), one.state.value, one.generation[:1], one.reason)
        for one in world.ledger.instances.values()
    ]
