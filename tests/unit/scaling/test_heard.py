"""Silence and steps of the ledger's clock, by a clock of our own."""

from datetime import UTC, datetime

import pytest

from stellwerk.scaling.records import ClockStep, Pulse
from stellwerk.scaling.scaler.heard import ClockWatch, Heard

AGENT = ("app-1", "apps")
OTHER = ("app-2", "apps")


def test_who_says_the_same_as_before_is_silent() -> None:
    heard = Heard(0)
    heard.take({AGENT: 5.0}, 1)
    heard.take({AGENT: 5.0}, 40)
    assert heard.silent([AGENT], 40, 30) == {AGENT}
    heard.take({AGENT: 5.1}, 41)
    assert heard.silent([AGENT], 60, 30) == frozenset()


def test_who_was_never_heard_of_is_silent_only_after_the_time() -> None:
    heard = Heard(100)
    assert heard.silent([OTHER], 130, 30) == frozenset()
    assert heard.silent([OTHER], 131, 30) == {OTHER}


def test_a_ledgers_clock_that_jumps_makes_nobody_silent() -> None:
    heard = Heard(0)
    heard.take({AGENT: 5.0}, 1)
    heard.take({AGENT: 3605.0}, 11)
    assert heard.silent([AGENT], 12, 30) == frozenset()


def pulse(at: float, newest_event: int = 0) -> Pulse:
    return Pulse(datetime.fromtimestamp(at, UTC), {}, "", newest_event)


@pytest.mark.parametrize("by", [3600, -3600, 6])
def test_a_clock_that_is_set_is_seen_to_once(by: float) -> None:
    watch = ClockWatch()
    assert watch.look(pulse(1000, 7), 10, 10.1) is None
    step = watch.look(pulse(1002 + by, 8), 12, 12.1)
    assert step is not None
    assert step.seconds == pytest.approx(by, abs=1)
    assert step.after == 7
    watch.seen_to(9)
    assert watch.look(pulse(1004 + by, 9), 14, 14.1) is None


def test_a_clock_that_is_set_twice_at_once_is_seen_to_twice() -> None:
    watch = ClockWatch()
    watch.look(pulse(1000, 7), 10, 10)
    watch.look(pulse(4602, 7), 12, 12)
    watch.seen_to(8)
    assert watch.look(pulse(1004, 8), 14, 14) == ClockStep(-3600, 8)


def test_an_answer_that_comes_late_is_no_step() -> None:
    watch = ClockWatch()
    watch.look(pulse(1000), 10, 10.1)
    assert watch.look(pulse(1002), 12, 40) is None
    assert watch.look(pulse(1032), 42, 42.1) is None


def test_a_step_stays_due_until_a_new_leader_could_have_seen_to_it() -> None:
    watch = ClockWatch()
    watch.look(pulse(1000, 7), 10, 10)
    assert watch.look(pulse(4602, 8), 12, 12) == ClockStep(3600, 7)
    assert watch.look(pulse(4604, 9), 14, 14) == ClockStep(3600, 7)
    assert watch.look(pulse(1006, 9), 16, 16) == ClockStep(0, 7)
    assert watch.look(pulse(1017, 9), 27, 27) is None


def test_a_step_while_the_ledger_was_away_is_noticed() -> None:
    watch = ClockWatch()
    watch.look(pulse(1000, 7), 10, 10)
    assert watch.look(pulse(8500, 7), 310, 310) == ClockStep(7200, 7)
