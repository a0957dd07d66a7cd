"""What earlier recommendations and changes allow now: stabilization, rates, rests. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from stellwerk.scaling.model import Change
from stellwerk.settings.scaling_policy import Rate, Rates

LONGEST_WAIT: Final = 6 * 3600.0
"""The time for which less has to be demanded grows with regretted removals no longer than this."""


def stabilized(
    current: int,
    demand: int,
    recommendations: Iterable[tuple[float, int]],
    now: float,
    *,
    up_seconds: float,
    down_seconds: float,
) -> int:
    """The demand after a look at the recommendations before it: down only to the largest of a
    window, up only to the smallest.
    """
    most = least = demand
    for at, count in recommendations:
        if now - at < down_seconds:
            most = max(most, count)
        if now - at < up_seconds:
            least = min(least, count)
    if current < least:
        return least
    return most if current > most else current


def remembered(
    recommendations: Sequence[tuple[float, int]], now: float, count: int, keep_seconds: float
) -> tuple[tuple[float, int], ...]:
    """The recommendations with a new one. Equal ones in a row are one, with the last one's time."""
    kept = [(at, one) for at, one in recommendations if now - at < keep_seconds]
    if kept and kept[-1][1] == count:
        kept.pop()
    return (*kept, (now, count))


def largest_within(samples: Iterable[tuple[float, float]], now: float, seconds: float) -> float:
    """The largest value of a window; 0 if there is none."""
    return max((value for at, value in samples if now - at < seconds), default=0.0)


def upper_limit(current: int, rates: Rates, changes: Iterable[Change], now: float) -> float:
    """The largest number that the rates of additions allow."""
    if rates.choose == "disabled":
        return current
    if not rates.limits:
        return math.inf
    changes = list(changes)
    allowed = [_upper(rate, _at_start(current, rate, changes, now)) for rate in rates.limits]
    # What was there already is never taken away by a limit on additions.
    return max(current, max(allowed) if rates.choose == "largest" else min(allowed))


def lower_limit(current: int, rates: Rates, changes: Iterable[Change], now: float) -> int:
    """The smallest number that the rates of removals allow."""
    if rates.choose == "disabled":
        return current
    if not rates.limits:
        return 0
    changes = list(changes)
    allowed = [_lower(rate, _at_start(current, rate, changes, now)) for rate in rates.limits]
    return min(current, min(allowed) if rates.choose == "largest" else max(allowed))


def _at_start(current: int, rate: Rate, changes: Iterable[Change], now: float) -> int:
    return current - sum(change.amount for change in changes if now - change.at < rate.seconds)


def _upper(rate: Rate, start: int) -> int:
    if rate.instances is not None:
        return start + rate.instances
    return math.ceil(start * (1 + (rate.percent or 0) / 100) - 1e-9)


def _lower(rate: Rate, start: int) -> int:
    if rate.instances is not None:
        return start - rate.instances
    return math.floor(start * (1 - (rate.percent or 0) / 100) + 1e-9)


def rest_left(now: float, last: float | None, cooldown: float) -> float:
    """Seconds of a rest that are left."""
    return 0.0 if last is None else max(0.0, last + cooldown - now)


def last_up(changes: Iterable[Change]) -> float | None:
    """When rules added instances last."""
    return max((one.at for one in changes if one.amount > 0 and one.by_rules), default=None)


def last_change(changes: Iterable[Change]) -> float | None:
    """When the number changed last."""
    return max((change.at for change in changes), default=None)


def wait_after_regrets(seconds: float, factor: float, regrets: int) -> float:
    """The time for which less has to be demanded after so many regretted removals."""
    return min(seconds * factor**regrets, max(seconds, LONGEST_WAIT))


def healthy_enough(current: int, serving: int, percent: float) -> bool:
    """Whether enough instances serve for one to be removed."""
    return serving >= current * percent / 100 - 1e-9


def projected(average: float, instances: int, fewer: int) -> float:
    """What an average becomes where `fewer` of the instances are left with the same load."""
    return average * instances / fewer if fewer > 0 else math.inf


def removable(average: float, instances: int, remove: int, below: float) -> int:
    """How many may go, up to `remove`, so that the projected average stays below a threshold."""
    for count in range(min(remove, instances), 0, -1):
        if projected(average, instances, instances - count) < below:
            return count
    return 0
