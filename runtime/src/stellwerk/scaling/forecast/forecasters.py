"""Small forecasters, each with one idea of how the next hours follow from the past. Pure.

Each takes the history (equal steps, none missing, a week at least), the steps of a day, and how
many steps to look ahead, at most about a day.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from stellwerk.scaling.forecast.load import DAYS_OF_WEEK

Values = list[float]
Forecaster = Callable[[Sequence[float], int, int], Values]

_WEEKS: Final = 4
_LEAST_LEVEL, _MOST_LEVEL = 0.1, 10.0
_TINY: Final = 1e-9


def as_now(history: Sequence[float], day: int, ahead: int) -> Values:
    """The last value stays."""
    del day
    return [history[-1]] * ahead


def same_as_yesterday(history: Sequence[float], day: int, ahead: int) -> Values:
    """The same hours of the day before."""
    return _periods(history, day, 1, ahead)[0]


def usual_day(history: Sequence[float], day: int, ahead: int) -> Values:
    """The mean of the same hours of a week's days."""
    days = _periods(history, day, DAYS_OF_WEEK, ahead)
    return [sum(values) / len(days) for values in zip(*days, strict=True)]


def usual_day_at_level(history: Sequence[float], day: int, ahead: int) -> Values:
    """The usual day times how much more than usual the last day had."""
    return _scaled(usual_day(history, day, ahead), _level(history, usual_day, day, day))


def same_as_last_week(history: Sequence[float], day: int, ahead: int) -> Values:
    """The same hours of the week before."""
    return _periods(history, DAYS_OF_WEEK * day, 1, ahead)[0]


def last_week_at_level(history: Sequence[float], day: int, ahead: int) -> Values:
    """The week before times how much more the last day had than the one a week earlier."""
    level = _level(history, same_as_last_week, day, day)
    return _scaled(same_as_last_week(history, day, ahead), level)


def usual_week(history: Sequence[float], day: int, ahead: int) -> Values:
    """The median of the same hours of four weeks."""
    weeks = _periods(history, DAYS_OF_WEEK * day, _WEEKS, ahead)
    return [_median(values) for values in zip(*weeks, strict=True)]


def usual_week_at_level(history: Sequence[float], day: int, ahead: int) -> Values:
    """The usual week times how much more than usual the last day had."""
    return _scaled(usual_week(history, day, ahead), _level(history, usual_week, day, day))


def usual_week_at_half_level(history: Sequence[float], day: int, ahead: int) -> Values:
    """The same with half of that excess, for levels that return to what is usual."""
    level = math.sqrt(_level(history, usual_week, day, day))
    return _scaled(usual_week(history, day, ahead), level)


def usual_week_as_now(history: Sequence[float], day: int, ahead: int) -> Values:
    """The usual week times how much more than usual the last two hours had."""
    level = _level(history, usual_week, day, max(1, day // 12))
    return _scaled(usual_week(history, day, ahead), level)


DAILY: Final[Mapping[str, Forecaster]] = {
    "as now": as_now,
    "same as yesterday": same_as_yesterday,
    "usual day at level": usual_day_at_level,
}
"""Forecasters that know of days only."""

WEEKLY: Final[Mapping[str, Forecaster]] = {
    "same as last week": same_as_last_week,
    "last week at level": last_week_at_level,
    "usual week": usual_week,
    "usual week at level": usual_week_at_level,
    "usual week at half level": usual_week_at_half_level,
    "usual week as now": usual_week_as_now,
}
"""Forecasters that know of weeks."""


def _periods(history: Sequence[float], period: int, count: int, ahead: int) -> list[Values]:
    """What followed the same place of the last periods, newest first, as far as there are any."""
    end = len(history)
    starts = [end - period * number for number in range(1, count + 1) if end >= period * number]
    return [_following(history, start, period, ahead) for start in starts]


def _following(history: Sequence[float], start: int, period: int, ahead: int) -> Values:
    """The steps from `start` on. What is longer than the period repeats itself."""
    found = list(history[start : start + min(ahead, period)])
    return found + found[: ahead - period] if ahead > period else found


def _scaled(values: Values, factor: float) -> Values:
    return [factor * value for value in values]


def _level(history: Sequence[float], usual: Forecaster, day: int, span: int) -> float:
    """How many times the usual the last `span` steps were; 1 where nothing usual is known."""
    before = history[:-span]
    if len(before) < DAYS_OF_WEEK * day:
        return 1.0
    expected = sum(usual(before, day, span))
    return min(max(sum(history[-span:]) / max(expected, _TINY), _LEAST_LEVEL), _MOST_LEVEL)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
