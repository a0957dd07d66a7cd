"""How many instances a target asks for. Pure.

The rules are those of Kubernetes' horizontal pod autoscaler, where instances without a value count
against the change; rounding to the nearest and an idle offset are PaaSTA's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stellwerk.scaling.model import Direction

_ROUNDING_ERROR: Final = 1e-9
"""Differences below this come from binary fractions and mean nothing."""

Rounding = Literal["up", "nearest"]


@dataclass(frozen=True, slots=True)
class Use:
    """What one instance uses of what it has been given; `used` is None where no sample is."""

    used: float | None
    given: float


def whole(count: float, rounding: Rounding = "up") -> int:
    """A count of instances as a whole number: up, or to the nearest (half up)."""
    if rounding == "nearest":
        return math.floor(count + 0.5 + _ROUNDING_ERROR)
    return math.ceil(count - _ROUNDING_ERROR)


def direction(current: int, ratio: float, tolerance: float) -> Direction:
    """Which way a ratio to the target leads."""
    if current == 0 and ratio > 0:
        return Direction.UP
    if abs(ratio - 1) <= tolerance + _ROUNDING_ERROR:
        return Direction.NONE
    return Direction.UP if ratio > 1 else Direction.DOWN


def for_average(
    current: int,
    serving: int,
    value: float,
    target: float,
    *,
    tolerance: float,
    rounding: Rounding = "up",
    idle: float = 0.0,
) -> int:
    """Instances that bring a value per instance to its target.

    Those that serve now are multiplied, never those that are still to come.
    """
    ratio = max(0.0, value - idle) / (target - idle)
    if direction(current, ratio, tolerance) is Direction.NONE:
        return current
    return _same_way(current, ratio, whole(max(1, serving) * ratio, rounding))


def for_total(
    current: int, total: float, target: float, *, tolerance: float, rounding: Rounding = "up"
) -> int:
    """Instances that share a total so that each has the target."""
    ratio = total / (target * max(1, current))
    if direction(current, ratio, tolerance) is Direction.NONE:
        return current
    return whole(total / target, rounding)


def for_uses(
    current: int,
    ready: Sequence[Use],
    waiting: Sequence[Use],
    target: float,
    *,
    tolerance: float,
    rounding: Rounding = "up",
) -> int:
    """Instances that bring the share they use of what they have to the target.

    On the way up those that wait (start, warm up) count with no use, and so do ready ones without a
    sample. On the way down the former are left out, and the latter count as fully used. Where
    that turns the direction round, nothing changes.
    """
    sampled = [one for one in ready if one.used is not None]
    if not sampled:
        return current
    ratio = _share(sampled) / target
    silent = [one for one in ready if one.used is None]
    coming = list(waiting) if ratio > 1 else []
    if not silent and not coming:
        if direction(current, ratio, tolerance) is Direction.NONE:
            return current
        return whole(ratio * len(sampled), rounding)
    # Fully used, or as much as is aimed at where that is more.
    assumed = 0.0 if ratio > 1 else max(1.0, target)
    counted = [
        *sampled,
        *(Use(assumed * one.given, one.given) for one in silent),
        *(Use(0.0, one.given) for one in coming),
    ]
    corrected = _share(counted) / target
    if direction(current, corrected, tolerance) is Direction.NONE:
        return current
    if (corrected > 1) != (ratio > 1):
        return current
    return _same_way(current, corrected, whole(corrected * len(counted), rounding))


def _share(uses: Sequence[Use]) -> float:
    given = sum(one.given for one in uses)
    return sum(one.used or 0.0 for one in uses) / given if given else 0.0


def _same_way(current: int, ratio: float, count: int) -> int:
    """The count, unless it lies the other way than the ratio that led to it."""
    return max(current, count) if ratio > 1 or current == 0 else min(current, count)
