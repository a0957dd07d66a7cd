"""Silence and steps of the ledger's clock, by a clock of our own."""

from datetime import UTC, datetime

import pytest

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


@pytest.mark.parametrize("by", [3600, -3600, 6])
def test_a_clock_that_is_set_is_noticed_once(by: float) -> None:
    watch = ClockWatch()
    assert watch.step(datetime.fromtimestamp(1000, UTC), 10, 10.1) == 0
    assert watch.step(datetime.fromtimestamp(1002 + by, UTC), 12, 12.1) == pytest.approx(by, abs=1)
    assert watch.step(datetime.fromtimestamp(1004 + by, UTC), 14, 14.1) == 0


def test_an_answer_that_comes_late_is_no_step() -> None:
    watch = ClockWatch()
    watch.step(datetime.fromtimestamp(1000, UTC), 10, 10.1)
    assert watch.step(datetime.fromtimestamp(1002, UTC), 12, 40) == 0
    assert watch.step(datetime.fromtimestamp(1032, UTC), 42, 42.1) == 0
