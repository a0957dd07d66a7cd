"""Roll-outs as people and programs get them."""

import json
from datetime import timedelta

from hypothesis import given

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import RolloutState, State
from stellwerk.instances.rollout_view import document, lines, moved, service_rollout
from stellwerk.terminal.paint import Paint
from tests.unit.instances.views import CORE, NEW, NOW, cluster, clusters, instance, rollout

PLAIN = Paint(False)


def shown(found: Cluster, release: str = "") -> str:
    about = found.snapshot.services[CORE]
    return "\n".join(lines(service_rollout(found, about, release), NOW, 80, PLAIN))


def test_a_running_one_shows_from_what_to_what_how_far_and_by_whom() -> None:
    updated = instance(8101, generation=NEW, rollout=2)
    running = rollout(canary=8101, canary_passed=True)
    text = shown(cluster(updated, instance(8102), rollouts=(running,)), "1.2.0-ab12")
    assert text.startswith(f"{CORE}  running for 1m\n  ██████████░░░░░░░░░░  ")
    assert "3f2a91c7 → 9bc01d2e (1.2.0-ab12), by anna on control" in text
    assert "1 of 2 run 9bc01d2e" in text


def test_the_watch_over_the_canary_counts_down() -> None:
    watched = rollout(canary=8101, canary_since=NOW - timedelta(seconds=6), canary_seconds=15)
    updated = instance(8101, generation=NEW, rollout=2, since=NOW - timedelta(seconds=20))
    text = shown(cluster(updated, instance(8102), rollouts=(watched,)))
    assert "watched for 9 s more (0 requests, 0 failed)" in " ".join(text.split())


def test_a_failed_one_shows_reason_and_journal_and_the_ways_on() -> None:
    failed = rollout(
        RolloutState.FAILED,
        reason=f"{CORE}@8101 failed: no answer",
        failed_instance=f"{CORE}@8101",
        journal="Traceback:\n  \x1b[2Jboom\n",
    )
    text = shown(cluster(instance(8101, State.FAILED), rollouts=(failed,)))
    assert "no answer" in text
    assert "  | Traceback:\n  |    [2Jboom\n" in text
    assert text.endswith(
        f"  to go on:   stellwerk rollout resume {CORE}\n"
        f"  to go back: stellwerk rollout undo {CORE}"
    )


def test_a_failed_restart_offers_no_way_back_as_there_is_none() -> None:
    failed = rollout(RolloutState.FAILED, restart=True)
    assert "undo" not in shown(cluster(instance(8101), rollouts=(failed,)))


def test_a_service_that_never_had_one_says_so() -> None:
    assert shown(cluster(instance(8101))) == f"{CORE}  no roll-out yet; generation 3f2a91c7"


def test_only_what_is_news_counts_as_moved() -> None:
    def state(*updated: int) -> object:
        rows = [
            instance(port, generation=NEW, rollout=2) if port in updated else instance(port)
            for port in (8101, 8102)
        ]
        found = cluster(*rows, rollouts=(rollout(canary=8101, canary_passed=True),))
        return moved(service_rollout(found, found.snapshot.services[CORE], ""))

    assert state(8101) == state(8101) != state(8101, 8102)


@given(clusters())
def test_any_fits_80_columns_but_for_its_journal_and_can_be_read_by_programs(
    found: Cluster,
) -> None:
    for about in found.snapshot.services.values():
        one = service_rollout(found, about, "a release with a name that is longer than its place")
        text = lines(one, NOW, 80, PLAIN)
        assert all(len(line) <= 80 for line in text if not line.startswith(("  |", "  t", "  to")))
        assert all(line.isprintable() for line in text)
        assert json.loads(json.dumps(document(one)))["service"] == about.name
