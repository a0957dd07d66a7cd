"""A deploy says how the agents get on, and ends when there is nothing to wait for (C6)."""

from collections.abc import Sequence

import pytest

from deploys.components.progress import Progress
from deploys.engine.invocation import Refused
from deploys.engine.waiting import Effects, follow


class World:
    """Answers of the ledger, one a second; the last one stays."""

    def __init__(self, *answers: Sequence[Progress] | Refused) -> None:
        self.answers = answers
        self.seconds = 0
        self.said: list[str] = []

    def poll(self) -> Sequence[Progress]:
        answer = self.answers[min(self.seconds, len(self.answers) - 1)]
        if isinstance(answer, Refused):
            raise answer
        return answer

    def pause(self) -> None:
        self.seconds += 1

    def follow(self, **patience: float) -> tuple[str, ...]:
        effects = Effects(self.poll, self.said.append, lambda: float(self.seconds), self.pause)
        return follow(effects, patience)


def moving(mark: int, sentence: str = "1 of 2 run abc") -> Progress:
    return Progress("a", sentence, mark, over=False)


DONE = Progress("a", "2 of 2 are ready", 9, over=True)
FAILED = Progress("a", "failed: no answer", 9, over=True, failed=True, journal="one\ntwo")


def test_it_ends_well_when_everything_is_done() -> None:
    world = World([moving(1)], [moving(2)], [DONE])
    assert world.follow(a=600) == ()
    assert world.seconds == 2


def test_a_line_is_said_only_when_something_moved() -> None:
    world = World([moving(1)], [moving(1, "watched 14 s")], [moving(2, "next")], [DONE])
    world.follow(a=600)
    assert world.said == ["a: 1 of 2 run abc", "a: next", "a: 2 of 2 are ready"]


def test_a_failure_is_told_with_its_reason_and_the_journal() -> None:
    assert World([moving(1)], [FAILED]).follow(a=600) == (
        "a: failed: no answer",
        "    one",
        "    two",
    )


def test_a_failure_of_one_service_does_not_cut_off_another() -> None:
    other = Progress("b", "1 of 2", 1, over=False)
    done = Progress("b", "2 of 2", 2, over=True)
    world = World([FAILED, other], [FAILED, other], [FAILED, done])
    assert len(world.follow(a=600, b=600)) == 3
    assert world.said[-1] == "b: 2 of 2"


def test_one_that_does_not_get_on_is_given_up_after_its_patience_and_no_earlier() -> None:
    world = World(*([moving(number)] for number in range(5)))
    (reason,) = world.follow(a=10)
    assert "it goes on by itself, see `stellwerk rollout status`" in reason
    assert world.seconds == 14


def test_a_ledger_that_is_away_for_a_while_is_waited_for() -> None:
    away = Refused("db-1 does not answer")
    assert World([moving(1)], away, away, [DONE]).follow(a=10) == ()


def test_a_ledger_that_stays_away_ends_the_waiting() -> None:
    away = Refused("db-1 does not answer")
    world = World([moving(1)], away)
    assert world.follow(a=10) == ("db-1 does not answer",)
    assert world.seconds == 10


@pytest.mark.parametrize("patience", [{}, {"a": 600.0}])
def test_nothing_is_waited_for_where_nothing_moves(patience: dict[str, float]) -> None:
    world = World([DONE])
    assert world.follow(**patience) == ()
    assert world.seconds == 0
