"""Where a roll-out stands, as people read it, and verdicts on canaries."""

from dataclasses import replace
from datetime import timedelta

import pytest

from stellwerk.instances import rollouts
from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import InstanceKey, Purpose, RolloutState, Seen, Sighting, State
from tests.unit.instances.simulation import BETTER, GOOD, LOST_AFTER, World, figures

CORE = "core"


@pytest.fixture
def world() -> World:
    """Four instances, and a roll-out that has just begun."""
    world = World({CORE: figures(CORE, 8100)})
    world.declare(CORE, GOOD, {"app-1": 2, "app-2": 2})
    assert world.run(120, world.settled)
    world.ledger.start_rollout(CORE, BETTER, canary_seconds=15, canary_error_percent=5.0)
    return world


def cluster(world: World) -> Cluster:
    return Cluster(world.ledger.snapshot(), ("lb-1", "lb-2"), frozenset({CORE}), LOST_AFTER)


def sentence(world: World) -> str:
    return rollouts.standing(cluster(world), world.rollout(CORE)).sentence


def watched(world: World, requests: int, errors: int, seconds: int) -> rollouts.Progress | None:
    """The verdict on a canary after so many requests and seconds in rotation."""
    assert world.run(120, lambda: world.rollout(CORE).canary_since is not None)
    rollout = world.rollout(CORE)
    key = InstanceKey(CORE, rollout.canary or 0)
    world.ledger.sightings = {
        (key, balancer): Sighting(key, balancer, Seen.UP, 0, count, failed)
        for balancer, count, failed in (("lb-1", requests, errors), ("lb-2", 0, 0))
    }
    since = world.ledger.at - timedelta(seconds=seconds)
    world.ledger.rollouts[rollout.id] = replace(rollout, canary_since=since)
    row = world.ledger.instances[key]
    world.ledger.instances[key] = replace(row, since=since)
    return rollouts.progress(cluster(world), CORE)


def test_it_reads_what_a_roll_out_waits_for(world: World) -> None:
    said = [sentence(world)]
    while world.rollout(CORE).state is RolloutState.RUNNING:
        world.tick()
        if sentence(world) != said[-1]:
            said.append(sentence(world))
    assert said[0] == "0 of 4 run bbbbbbbb; core@8100 is next"
    assert "0 of 4 run bbbbbbbb; waits: core@8100, the canary, is draining" in said
    assert any("core@8100, the canary, is watched for 9 s more" in one for one in said)
    assert said[-1] == "done: 4 of 4 run bbbbbbbb"


def test_a_failed_roll_out_reads_with_its_reason(world: World) -> None:
    rollout = world.rollout(CORE)
    world.ledger.rollouts[rollout.id] = replace(
        rollout, state=RolloutState.FAILED, reason="core@8100 failed: GET /health had no answer"
    )
    assert sentence(world) == (
        "failed: core@8100 failed: GET /health had no answer; 0 of 4 run bbbbbbbb, "
        "the others serve on as they are"
    )


def test_a_canary_that_fails_too_often_fails_before_its_time_is_over(world: World) -> None:
    found = watched(world, requests=150, errors=12, seconds=3)
    assert isinstance(found, rollouts.Failed)
    assert found.reason == "12 of 150 requests to core@8100 failed, more than 5 %"


def test_a_few_early_errors_do_not_fail_a_canary_before_its_time_is_over(world: World) -> None:
    assert watched(world, requests=12, errors=1, seconds=3) is None


def test_a_canary_is_judged_by_its_share_of_errors_when_its_time_is_over(world: World) -> None:
    assert isinstance(watched(world, requests=12, errors=1, seconds=15), rollouts.Failed)


def test_a_canary_with_too_few_requests_passes_on_its_health(world: World) -> None:
    assert watched(world, requests=9, errors=9, seconds=15) == rollouts.Passed()


def test_a_canary_with_few_enough_errors_passes(world: World) -> None:
    assert watched(world, requests=1000, errors=50, seconds=15) == rollouts.Passed()


def test_a_canary_that_is_down_by_a_ledger_that_was_away_gets_its_time(world: World) -> None:
    """What balancers said before it went away says nothing of the time since."""
    assert watched(world, 0, 0, seconds=90) is not None
    world.ledger.sightings = {
        key: replace(one, seen=Seen.DOWN) for key, one in world.ledger.sightings.items()
    }
    rollout = world.rollout(CORE)
    world.ledger.rollouts[rollout.id] = replace(rollout, canary_since=None)
    assert isinstance(rollouts.progress(cluster(world), CORE), rollouts.Failed)
    just_back = replace(cluster(world), followed=timedelta(seconds=5))
    assert rollouts.progress(just_back, CORE) is None


def test_all_instances_down_at_a_balancer_that_starts_are_not_free_to_go(world: World) -> None:
    for balancer in ("lb-1", "lb-2"):
        for key in world.ledger.instances:
            world.ledger.sightings[key, balancer] = Sighting(key, balancer, Seen.DOWN)
    assert isinstance(rollouts.next_step(cluster(world), CORE), rollouts.Refusal)


def test_the_only_one_that_serves_does_not_go(world: World) -> None:
    rollout = world.rollout(CORE)
    world.ledger.rollouts[rollout.id] = replace(rollout, max_unavailable=10, canary_passed=True)
    for port in (8101, 8102, 8103):
        key = InstanceKey(CORE, port)
        row = world.ledger.instances[key]
        world.ledger.instances[key] = replace(row, state=State.DRAINING, purpose=Purpose.ROLL)
    found = rollouts.next_step(cluster(world), CORE)
    assert found == rollouts.Refusal("core@8100 is the only one that serves")


@pytest.mark.parametrize(
    ("state", "passed", "expected"),
    [
        (RolloutState.RUNNING, False, GOOD),
        (RolloutState.RUNNING, True, BETTER),
        (RolloutState.FAILED, True, GOOD),
        (RolloutState.DONE, True, BETTER),
    ],
)
def test_a_new_instance_gets_what_is_proven(
    world: World, state: RolloutState, passed: bool, expected: str
) -> None:
    rollout = world.rollout(CORE)
    world.ledger.rollouts[rollout.id] = replace(rollout, state=state, canary_passed=passed)
    generation, _ = rollouts.generation_of_new(world.ledger.snapshot(), CORE)
    assert generation == expected
