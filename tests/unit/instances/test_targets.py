"""Which generation resume, undo, restart and roll-back choose."""

from datetime import timedelta

import pytest

from stellwerk.instances.generation import GenerationError
from stellwerk.instances.model import Rollout, RolloutState, Service
from stellwerk.instances.store import GenerationRow
from stellwerk.instances.targets import (
    NoTargetError,
    restart_target,
    resume_target,
    roll_back_target,
    undo_target,
)
from tests.unit.instances.views import CORE, NEW, NOW, OLD, rollout

OLDEST, OTHER = "1111111111111111", "9bc0000000000000"


def service(generation: str = NEW) -> Service:
    return Service(CORE, generation, OLD, 2)


def generations(*releases: tuple[str, str]) -> list[GenerationRow]:
    """Generations with their releases, oldest first."""
    return [
        GenerationRow(CORE, generation, release, NOW - timedelta(days=9 - day))
        for day, (generation, release) in enumerate(releases)
    ]


def test_a_restart_keeps_the_generation() -> None:
    assert restart_target(service(), rollout(RolloutState.DONE)) == NEW
    assert restart_target(service(), None) == NEW


@pytest.mark.parametrize("state", [RolloutState.RUNNING, RolloutState.FAILED])
def test_a_restart_does_not_replace_a_roll_out_that_is_not_over(state: RolloutState) -> None:
    with pytest.raises(NoTargetError):
        restart_target(service(), rollout(state))


def test_resume_takes_the_generation_that_failed() -> None:
    assert resume_target(service(), rollout(RolloutState.FAILED)) == NEW


@pytest.mark.parametrize("last", [None, rollout(RolloutState.RUNNING), rollout(RolloutState.DONE)])
def test_only_a_failed_one_can_be_resumed(last: Rollout | None) -> None:
    with pytest.raises(NoTargetError, match="no failed roll-out to resume"):
        resume_target(service(), last)


@pytest.mark.parametrize("state", list(RolloutState))
def test_undo_goes_back_to_the_generation_from_before(state: RolloutState) -> None:
    assert undo_target(service(), rollout(state), []) == OLD


def test_undo_of_a_restart_that_is_not_done_stops_it() -> None:
    under_way = rollout(restart=True, previous=NEW)
    assert undo_target(service(), under_way, []) == NEW
    with pytest.raises(NoTargetError, match="--to"):
        undo_target(service(), rollout(RolloutState.DONE, restart=True, previous=NEW), [])


def test_undo_of_a_first_install_says_that_there_is_nothing_before() -> None:
    with pytest.raises(NoTargetError):
        undo_target(service(), rollout(previous=None), [])


def test_undo_goes_to_a_generation_named_by_its_first_digits() -> None:
    known = generations((OLDEST, ""), (OLD, ""), (OTHER, ""), (NEW, ""))
    assert undo_target(service(), rollout(), known, "11") == OLDEST
    with pytest.raises(GenerationError, match="more than one"):
        undo_target(service(), rollout(), known, "9bc0")
    with pytest.raises(GenerationError, match="known are"):
        undo_target(service(), rollout(), known, "ff")


def test_roll_back_skips_generations_that_only_have_other_settings() -> None:
    known = generations((OLDEST, "1.0"), (OLD, "2.0"), (NEW, "2.0"))
    assert roll_back_target(service(), known).generation == OLDEST


def test_rolling_back_twice_goes_back_twice_and_not_forth() -> None:
    known = generations((OLDEST, "1.0"), (OLD, "2.0"), (NEW, "3.0"))
    assert roll_back_target(service(NEW), known).generation == OLD
    assert roll_back_target(service(OLD), known).generation == OLDEST
    with pytest.raises(NoTargetError, match=r"no earlier release than 1\.0"):
        roll_back_target(service(OLDEST), known)


def test_roll_back_to_a_named_release_takes_its_newest_generation() -> None:
    known = generations((OLDEST, "1.0-aa"), (OLD, "1.0-aa"), (NEW, "2.0-bb"))
    assert roll_back_target(service(), known, "1.0").generation == OLD


def test_a_release_that_is_not_there_names_the_nearest() -> None:
    known = generations((OLD, "1.0-aa"), (NEW, "2.0-bb"))
    with pytest.raises(NoTargetError, match=r"did you mean 1\.0-aa\?"):
        roll_back_target(service(), known, "1.1-aa")
    with pytest.raises(NoTargetError, match="already"):
        roll_back_target(service(), known, "2.0-bb")
