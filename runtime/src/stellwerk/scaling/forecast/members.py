"""Small forecasters, each with one idea of how the next hours follow from the past. Pure.

Each takes the history (equal steps, none missing), the steps of a day, and how many steps to look
ahead, at most a day.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Member = Callable[[Values, int, int], Values]

DAYS_OF_WEEK: Final = 7
_WEEKS: Final = 4
_LEAST_LEVEL, _MOST_LEVEL = 0.1, 10.0
_TINY: Final = 1e-9


def same_as_yesterday(history: Values, day: int, ahead: int) -> Values:
    """The same hours of the day before."""
    yesterday: Values = _before(history, day, 1, ahead)[0]
    return yesterday


def same_as_last_week(history: Values, day: int, ahead: int) -> Values:
    """The same hours of the week before."""
    last_week: Values = _before(history, DAYS_OF_WEEK * day, 1, ahead)[0]
    return last_week


def usual_week(history: Values, day: int, ahead: int) -> Values:
    """The median of the same hours of four weeks."""
    usual: Values = np.median(_before(history, DAYS_OF_WEEK * day, _WEEKS, ahead), axis=0)
    return usual


def usual_week_at_level(history: Values, day: int, ahead: int) -> Values:
    """The usual week times how much more than usual the last day had."""
    return usual_week(history, day, ahead) * _level(history, usual_week, day, day)


def usual_week_at_half_level(history: Values, day: int, ahead: int) -> Values:
    """The same with half of that excess, for levels that return to what is usual."""
    return usual_week(history, day, ahead) * math.sqrt(_level(history, usual_week, day, day))


def usual_week_as_now(history: Values, day: int, ahead: int) -> Values:
    """The usual week times how much more than usual the last two hours had."""
    return usual_week(history, day, ahead) * _level(history, usual_week, day, max(1, day // 12))


def last_week_at_level(history: Values, day: int, ahead: int) -> Values:
    """The week before times how much more the last day had than the one a week earlier."""
    level = _level(history, same_as_last_week, day, day)
    return same_as_last_week(history, day, ahead) * level


def usual_day_at_level(history: Values, day: int, ahead: int) -> Values:
    """The mean day of a week times how much more the last day had."""
    return _usual_day(history, day, ahead) * _level(history, _usual_day, day, day)


def smoothed(history: Values, day: int, ahead: int) -> Values:
    """Exponential smoothing with a daily and a weekly season and an error that lives on, on the
    logarithm of the load (Taylor's double-seasonal method).
    """
    week = DAYS_OF_WEEK * day
    logs = np.log1p(history[-2 * _WEEKS * week :])
    level = float(logs[:week].mean())
    first = logs[:week] - level
    days = first.reshape(DAYS_OF_WEEK, day).mean(axis=0)
    weeks = (first - np.tile(days, DAYS_OF_WEEK)).tolist()
    daily = days.tolist()
    error = 0.0
    for place, value in enumerate(logs[week:].tolist(), start=week):
        of_day, of_week = place % day, place % week
        missed = value - (level + daily[of_day] + weeks[of_week] + _MEMORY * error)
        level += _LEVEL_GAIN * missed
        daily[of_day] += _SEASON_GAIN * missed
        weeks[of_week] += _SEASON_GAIN * missed
        error = value - (level + daily[of_day] + weeks[of_week])
    places = np.arange(len(logs), len(logs) + ahead)
    seasons = np.asarray(daily)[places % day] + np.asarray(weeks)[places % week]
    fading = error * _MEMORY ** np.arange(1, ahead + 1)
    # A forecast far beyond all that was seen would only be an accident of the logarithm.
    return np.expm1(np.minimum(level + seasons + fading, logs.max() + math.log(2)))


_LEVEL_GAIN, _SEASON_GAIN, _MEMORY = 0.05, 0.3, 0.9
"""How fast level and seasons follow, and how much of an error is left after a step."""


def as_now(history: Values, day: int, ahead: int) -> Values:
    """The last value stays."""
    del day
    return np.full(ahead, history[-1])


DAILY: Final[Mapping[str, Member]] = {
    "same as yesterday": same_as_yesterday,
    "usual day at level": usual_day_at_level,
    "as now": as_now,
}
"""Forecasters that know of days only."""

WEEKLY: Final[Mapping[str, Member]] = {
    "same as last week": same_as_last_week,
    "usual week": usual_week,
    "usual week at level": usual_week_at_level,
    "usual week at half level": usual_week_at_half_level,
    "usual week as now": usual_week_as_now,
    "last week at level": last_week_at_level,
    "smoothed": smoothed,
}
"""Forecasters that know of weeks."""


def _usual_day(history: Values, day: int, ahead: int) -> Values:
    usual: Values = _before(history, day, DAYS_OF_WEEK, ahead).mean(axis=0)
    return usual


def _before(history: Values, period: int, count: int, ahead: int) -> Values:
    """What followed the same place of the last periods, newest first, as far as there are any."""
    end = len(history)
    starts = [end - period * number for number in range(1, count + 1) if end >= period * number]
    return np.stack([history[start : start + ahead] for start in starts])


def _level(history: Values, usual: Member, day: int, span: int) -> float:
    """How many times the usual the last `span` steps were."""
    expected = float(usual(history[:-span], day, span).sum())
    level = float(history[-span:].sum()) / max(expected, _TINY)
    return min(max(level, _LEAST_LEVEL), _MOST_LEVEL)
