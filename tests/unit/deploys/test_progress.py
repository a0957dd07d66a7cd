"""What a service still needs is said in a sentence, from the ledger alone (C6)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deploys.components import progress
from deploys.components.progress import Progress
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
from stellwerk.settings.cluster import Cluster

CORE = "aktienanalyse-core"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW = "a" * 16, "b" * 16


def instance(port: int, host: str, **changed: object) -> Instance:
    found = Instance(InstanceKey(CORE, port), host, "10.0.0.1", NEW, 1, State.READY, NOW)
    return replace(found, **changed)  # type: ignore[arg-type]


def rollout(state: RolloutState = RolloutState.DONE, **changed: object) -> Rollout:
    found = Rollout(1, CORE, NEW, OLD, state, NOW, NOW, "deploy", canary_passed=True)
    return replace(found, **changed)  # type: ignore[arg-type]


def standing(
    cluster: Cluster, rolled: Rollout, *rows: Instance, desired: int = 1, seen: Seen = Seen.UP
) -> Progress:
    signs = [AgentSign(host, Role.APPS, NOW) for host in ("app-1", "app-2")]
    snapshot = Snapshot(
        at=NOW,
        services={CORE: Service(CORE, NEW, OLD, 1)},
        desired={(CORE, "app-1"): desired, (CORE, "app-2"): desired},
        rollouts={1: rolled},
        instances={one.key: one for one in rows},
        sightings=tuple(Sighting(one.key, "lb-1", seen) for one in rows),
        agents=(*signs, AgentSign("lb-1", Role.BALANCERS, NOW)),
    )
    (found,) = progress.of_services(cluster, snapshot)
    return found


BOTH = (instance(8101, "app-1"), instance(8102, "app-2"))


def test_a_service_whose_instances_are_all_ready_is_done(cluster: Cluster) -> None:
    found = standing(cluster, rollout(), *BOTH)
    assert (found.over, found.failed) == (True, False)
    assert found.sentence == "2 of 2 are ready"


def test_a_running_rollout_is_not_over(cluster: Cluster) -> None:
    found = standing(
        cluster, rollout(RolloutState.RUNNING), BOTH[0], replace(BOTH[1], generation=OLD)
    )
    assert not found.over
    assert found.sentence.startswith("1 of 2 run bbbbbbbb")


def test_a_failed_rollout_is_a_failure_with_its_reason_and_journal(cluster: Cluster) -> None:
    failed = rollout(RolloutState.FAILED, reason="app-1 is unhealthy", journal="boom")
    found = standing(cluster, failed, *BOTH)
    assert found.failed
    assert "app-1 is unhealthy" in found.sentence
    assert found.journal == "boom"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (BOTH[:1], "app-2 has 0 of 1 instances"),
        ((BOTH[0], replace(BOTH[1], state=State.STARTING)), f"{CORE}@8102"),
        ((*BOTH, instance(8103, "gone")), f"{CORE}@8103 leaves gone, which is gone"),
    ],
)
def test_what_is_on_its_way_is_waited_for(
    cluster: Cluster, rows: tuple[Instance, ...], said: str
) -> None:
    found = standing(cluster, rollout(), *rows)
    assert not found.over
    assert said in found.sentence


def test_an_instance_that_failed_outside_a_rollout_is_a_failure(cluster: Cluster) -> None:
    broken = replace(BOTH[1], state=State.FAILED, reason="port in use")
    found = standing(cluster, rollout(), BOTH[0], broken)
    assert found.failed
    assert "port in use" in found.sentence


def test_one_too_many_that_leaves_is_not_waited_for(cluster: Cluster) -> None:
    leaving = instance(8103, "app-1", state=State.DRAINING, purpose=Purpose.RETIRE)
    assert standing(cluster, rollout(), *BOTH, leaving).over


def test_requests_that_go_by_are_no_progress_but_a_new_state_is(cluster: Cluster) -> None:
    running = rollout(RolloutState.RUNNING)
    marks = {
        standing(cluster, running, *BOTH).mark,
        standing(cluster, running, *BOTH).mark,
        standing(cluster, running, *BOTH, seen=Seen.DRAINING).mark,
        standing(cluster, running, BOTH[0], replace(BOTH[1], state=State.STARTING)).mark,
    }
    assert len(marks) == 3


GONE = Instance(InstanceKey("gone", 8601), "app-1", "10.0.0.1", NEW, 1, State.READY, NOW)
ALIVE = (AgentSign("app-1", Role.APPS, NOW), AgentSign("lb-1", Role.BALANCERS, NOW))


def leaving(cluster: Cluster, *rows: Instance, agents: tuple[AgentSign, ...] = ALIVE) -> Progress:
    services = {name: Service(name, NEW, OLD, 1) for name in (CORE, "gone")}
    snapshot = Snapshot(
        at=NOW, services=services, instances={one.key: one for one in rows}, agents=agents
    )
    (found,) = progress.of_leaving(cluster, snapshot)
    return found


def test_a_service_that_is_none_any_more_is_waited_for_until_its_instances_have_left(
    cluster: Cluster,
) -> None:
    there = leaving(cluster, GONE)
    assert not there.over
    assert there.sentence == "leaves; still there: gone@8601 on app-1"
    assert leaving(cluster, replace(GONE, state=State.DRAINING)).mark != there.mark
    assert leaving(cluster).over


@pytest.mark.parametrize("lost", ALIVE)
def test_an_instance_that_an_absent_agent_would_let_go_is_not_waited_for(
    cluster: Cluster, lost: AgentSign
) -> None:
    found = leaving(cluster, GONE, agents=tuple(one for one in ALIVE if one != lost))
    assert found.over
    assert f"nothing has been heard from {lost.host}" in found.sentence
