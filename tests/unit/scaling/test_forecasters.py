"""What each of the small forecasters takes the future to be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.scaling.forecast.forecasters import (
    DAILY,
    WEEKLY,
    as_now,
    last_week_at_level,
    usual_day_at_level,
    usual_week,
    usual_week_as_now,
    usual_week_at_half_level,
    usual_week_at_level,
)

DAY = 4
WEEK = 7 * DAY
OF_DAY = [1.0, 5.0, 9.0, 3.0]
OF_WEEK = [number % 5 + 2.0 * (number % DAY) + 1 for number in range(WEEK)]


def test_the_last_value_stays() -> None:
    assert as_now([1.0] * WEEK + [7.0], DAY, 3) == [7.0] * 3


@pytest.mark.parametrize("name", sorted({*DAILY} - {"as now"}))
def test_a_day_that_repeats_itself_is_foreseen(name: str) -> None:
    assert DAILY[name](OF_DAY * 14 + OF_DAY[:1], DAY, 3) == pytest.approx(OF_DAY[1:])


@pytest.mark.parametrize("name", WEEKLY)
@pytest.mark.parametrize("weeks", [1, 2, 6])
def test_a_week_that_repeats_itself_is_foreseen(name: str, weeks: int) -> None:
    said = WEEKLY[name](OF_WEEK * weeks + OF_WEEK[:2], DAY, DAY)
    assert said == pytest.approx(OF_WEEK[2 : 2 + DAY])


@pytest.mark.parametrize("level", [last_week_at_level, usual_week_at_level, usual_day_at_level])
def test_a_day_with_twice_the_load_doubles_what_follows_it(level: type) -> None:
    history = OF_DAY * 27 + [2 * value for value in OF_DAY]
    expected = [2 * value for value in OF_DAY]
    assert level(history, DAY, DAY) == pytest.approx(
        [value * 8 / 7 for value in expected] if level is usual_day_at_level else expected
    )


def test_half_of_an_unusual_level_is_taken_to_last() -> None:
    history = OF_DAY * 27 + [4 * value for value in OF_DAY]
    assert usual_week_at_half_level(history, DAY, DAY) == pytest.approx([2 * v for v in OF_DAY])


def test_the_last_hours_move_the_usual_week() -> None:
    history = OF_DAY * 28 + [3 * OF_DAY[0]]
    assert usual_week_as_now(history, DAY, 3) == pytest.approx([3 * v for v in OF_DAY[1:]])


def test_one_odd_week_of_four_is_not_usual() -> None:
    history = OF_WEEK * 2 + [100.0] * WEEK + OF_WEEK
    assert usual_week(history, DAY, DAY) == OF_WEEK[:DAY]


@given(
    history=st.lists(st.floats(0, 1e6), min_size=WEEK, max_size=6 * WEEK),
    name=st.sampled_from(sorted({**DAILY, **WEEKLY})),
    ahead=st.integers(1, DAY + 2),
)
def test_every_forecast_is_as_long_as_asked_for_and_a_load(
    history: list[float], name: str, ahead: int
) -> None:
    said = {**DAILY, **WEEKLY}[name](history, DAY, ahead)
    assert len(said) == ahead
    assert all(math.isfinite(value) and value >= 0 for value in said)
