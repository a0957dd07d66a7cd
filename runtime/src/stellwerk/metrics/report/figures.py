"""A series over a period in a few figures. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.rows import Points

P95: Final = 0.95

_PATIENCE: Final = 4
"""A latest value older than so many times the usual distance of two is no longer the latest."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is to say of a series that has values in a period, in its metric's unit."""

    points: int
    latest: float | None
    """None where it is too old to say how things are."""
    average: float
    lowest: float
    highest: float
    p95: float

    @classmethod
    def of(cls, points: Points, until: float, interval: float) -> Self | None:
        """The figures of values; None where there are none.

        + until: end of the period, in seconds since the epoch
        + interval: between two values at least, in seconds
        """
        times, values = points
        if not times:
            return None
        usual = (times[-1] - times[0]) / 1000 / (len(times) - 1) if len(times) > 1 else 0
        is_recent = until - times[-1] / 1000 <= _PATIENCE * max(interval, usual)
        return cls(
            len(values),
            values[-1] if is_recent else None,
            sum(values) / len(values),
            min(values),
            max(values),
            exact_quantile(values, P95),
        )

    @classmethod
    def of_durations(
        cls, durations: Histogram, recent: Histogram, share: float, unit_seconds: float
    ) -> Self | None:
        """The figures of a distribution, where the latest value is a percentile of what is recent;
        None where nothing was observed. The p95 is as exact as histograms are.
        """
        if durations.mean is None:
            return None
        latest, p95 = recent.quantile(share), durations.quantile(P95)
        return cls(
            durations.count,
            None if latest is None else latest / unit_seconds,
            durations.mean / unit_seconds,
            durations.lowest / unit_seconds,
            durations.highest / unit_seconds,
            (durations.highest if p95 is None else p95) / unit_seconds,
        )


def exact_quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed, by nearest rank. There must be one."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]
