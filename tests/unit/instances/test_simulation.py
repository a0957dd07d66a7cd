"""Several agents over one simulated cluster: what they do together, also when things go wrong."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.instances.facts import Activity, Unit
from stellwerk.instances.model import InstanceKey, RolloutState, Seen, State
from tests.unit.instances.invariants import Invariants
from tests.unit.instances.simulation import (
    BAD,
    BETTER,
    GENERATIONS,
    GOOD,
    World,
    figures,
)

CORE, SINGLE, PLAIN = "core", "single", "plain"
COUNTS = {CORE: {"app-1": 2, "app-2": 2}, SINGLE: {"app-1": 1}, PLAIN: {"app-2": 3}}
CANARY = {"canary_seconds": 15, "canary_error_percent": 5.0}
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


def failed(world: World, service: str) -> Callable[[], bool]:
    return lambda: world.rollout(service).state is RolloutState.FAILED


def test_a_first_install_runs_what_is_declared() -> None:
    world = installed()
    generations = {one.generation for one in world.ledger.instances.values()}
    assert generations == {GOOD}
    assert len(world.ledger.instances) == 8


@pytest.mark.parametrize("seed", range(5))
def test_a_good_generation_reaches_every_instance_and_enough_serve_all_the_time(seed: int) -> None:
    world = installed(seed)
    for service in world.services:
        world.ledger.start_rollout(service, BETTER, **CANARY)
    fewest = {service: HOUR for service in world.services}
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
    before = {
        key: unit.invocation for host in world.hosts.values() for key, unit in host.units.items()
    }
    for service in (CORE, PLAIN):
        world.ledger.start_rollout(service, GOOD, restart=True, **CANARY)
    assert run(world, HOUR, world.settled)
    after = {
        key: unit.invocation for host in world.hosts.values() for key, unit in host.units.items()
    }
    assert not {
        key
        for key in before.keys() & after.keys() - {InstanceKey(SINGLE, 8200)}
        if before[key] == after[key]
    }


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
        for host in world.hosts.values():
            broken.setattr(host, "healthy", lambda key, host=host: False)
        world.ledger.start_rollout(service, BETTER, **CANARY)
        assert world.run(HOUR, failed(world, service))
    world.ledger.start_rollout(service, BETTER, **CANARY)
    assert run(world, HOUR, world.settled)
    assert {one.generation for one in world.ledger.instances.values()} == {BETTER}


def test_a_canary_that_balancers_cannot_reach_fails_the_roll_out() -> None:
    world = installed(services=(CORE,))
    world.ledger.start_rollout(CORE, BETTER, **CANARY)
    reach = world.healthy
    world.healthy = lambda key: (  # type: ignore[method-assign]
        reach(key) and BETTER not in {host.runs.get(key) for host in world.hosts.values()}
    )
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
    for wait in range(0, 60, 3):
        world = installed(services=(CORE,))
        world.ledger.start_rollout(CORE, BETTER, **CANARY)
        run(world, wait)
        world.hosts["app-1"].power_off()
        run(world, 120)
        world.hosts["app-1"].power_on(world.second)
        assert run(world, HOUR, world.settled), f"powered off after {wait} s"


def test_an_instance_that_fails_is_tried_again_with_growing_pauses() -> None:
    world = installed(services=(PLAIN,))
    host, key = world.hosts["app-2"], InstanceKey(PLAIN, 8300)
    reach = host.healthy
    host.healthy = lambda one: one != key and reach(one)  # type: ignore[method-assign]
    host.crash(key, world.second)
    run(world, HOUR)
    retried = [at for at, kind, one, _ in world.ledger.events if kind == "retried" and one == key]
    pauses = [round((b - a).total_seconds()) for a, b in zip(retried, retried[1:], strict=False)]
    assert pauses[:5] == sorted(pauses[:5])
    assert 300 <= pauses[-1] <= 340
    assert world.in_rotation(PLAIN) == {InstanceKey(PLAIN, 8301), InstanceKey(PLAIN, 8302)}


# Whatever goes wrong.


@dataclass(frozen=True)
class Event:
    """Something that happens at a second, to a host or a service by its index, for a while."""

    second: int
    kind: str
    which: int
    seconds: int


KINDS = {
    "agent killed": lambda world, event: _agent_killed(world, event),
    "host off": lambda world, event: _host_off(world, event),
    "balancer agent killed": lambda world, event: _balancer_agent_killed(world, event),
    "balancer down": lambda world, event: _balancer_down(world, event),
    "ledger away": lambda world, event: _ledger_away(world, event),
    "crash": lambda world, event: _crash(world, event),
    "more": lambda world, event: _desire(world, event, 1),
    "fewer": lambda world, event: _desire(world, event, -1),
    "roll-out": lambda world, event: _roll(world, event, restart=False),
    "restart": lambda world, event: _roll(world, event, restart=True),
}

events = st.lists(
    st.builds(
        Event,
        second=st.integers(0, 240),
        kind=st.sampled_from(sorted(KINDS)),
        which=st.integers(0, 11),
        seconds=st.integers(1, 90),
    ),
    max_size=8,
)


def _at(world: World, which: int, names: object) -> str:
    listed = sorted(names)  # type: ignore[call-overload]
    return str(listed[which % len(listed)])


def _agent_killed(world: World, event: Event) -> Callable[[], None]:
    host = world.hosts[_at(world, event.which, world.hosts)]
    host.kill_agent()
    return lambda: setattr(host, "agent", host.up)


def _host_off(world: World, event: Event) -> Callable[[], None]:
    host = world.hosts[_at(world, event.which, world.hosts)]
    host.power_off()
    return lambda: host.power_on(world.second)


def _balancer_agent_killed(world: World, event: Event) -> Callable[[], None]:
    balancer = world.balancers[_at(world, event.which, world.balancers)]
    balancer.agent = False
    return lambda: setattr(balancer, "agent", True)


def _balancer_down(world: World, event: Event) -> Callable[[], None]:
    balancer = world.balancers[_at(world, event.which, world.balancers)]
    balancer.serves = False
    return lambda: setattr(balancer, "serves", True)


def _ledger_away(world: World, event: Event) -> Callable[[], None]:
    world.ledger.up = False
    return lambda: setattr(world.ledger, "up", True)


def _crash(world: World, event: Event) -> None:
    running = [
        (host, key)
        for host in world.hosts.values()
        for key, unit in sorted(host.units.items())
        if unit.activity is Activity.RUNNING
    ]
    if running:
        host, key = running[event.which % len(running)]
        host.crash(key, world.second)


def _desire(world: World, event: Event, change: int) -> None:
    keys = sorted(world.ledger.desired)
    key = keys[event.which % len(keys)]
    world.ledger.desired[key] = min(4, max(0, world.ledger.desired[key] + change))


def _roll(world: World, event: Event, *, restart: bool) -> None:
    if world.ledger.up:
        service = _at(world, event.which, world.services)
        generation = GENERATIONS[event.which % len(GENERATIONS)]
        if restart:
            generation = world.ledger.services[service].generation
        world.ledger.start_rollout(service, generation, restart=restart, **CANARY)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**16), plan=events)
def test_whatever_goes_wrong_the_rules_hold_and_it_ends_as_declared(
    seed: int, plan: list[Event]
) -> None:
    world = installed(seed)
    start = world.second
    invariants = Invariants(world)
    endings: list[tuple[int, Callable[[], None]]] = []
    waiting = sorted(plan, key=lambda one: one.second)
    while waiting or endings:
        while waiting and waiting[0].second <= world.second - start:
            event = waiting.pop(0)
            ending = KINDS[event.kind](world, event)
            if ending is not None:
                endings.append((world.second + event.seconds, ending))
        for due, ending in list(endings):
            if world.second >= due:
                endings.remove((due, ending))
                ending()
        world.tick()
        invariants.check()
    for service in world.services:
        world.ledger.start_rollout(service, BETTER, **CANARY)
    assert run(world, HOUR, world.settled), [
        (str(one.key), one.state.value, one.generation[:1], one.reason)
        for one in world.ledger.instances.values()
    ]
