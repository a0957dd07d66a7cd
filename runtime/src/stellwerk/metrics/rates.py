"""From totals to what happened since the last look: rates of counters, shares of two counters.

A total that is smaller than before has begun anew: that look yields nothing, and never a negative
rate. Times are of a clock that nobody sets, such as time.monotonic, in seconds.
"""

import math
from collections.abc import Iterable
from math import isfinite
from typing import Final

from stellwerk.metrics.model import Sample, Series

_FORGET_SECONDS: Final = 3600.0
"""A total not seen for so long is no beginning of a rate, and its memory is freed."""


class Rates:
    """Remembers the total of every counter between two looks."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}
        self._tidied = -math.inf

    def kept(self, samples: Iterable[Sample], now: float) -> list[Sample]:
        """The samples as they are judged and kept: counters as rates in their metric's unit,
        gauges as they are, nothing that is no number.
        """
        self._tidy(now)
        found: list[Sample] = []
        for sample in samples:
            series, value = sample
            if not isfinite(value):
                continue
            if not series.is_total:
                found.append(sample)
            elif (rate := self._rate(series, value, now)) is not None:
                found.append(Sample(series, rate))
        return found

    def _rate(self, series: Series, value: float, now: float) -> float | None:
        before = self._before.get(series.key)
        self._before[series.key] = (now, value)
        if before is None or now <= before[0] or value < before[1]:
            return None
        return (value - before[1]) / (now - before[0]) / series.metric.unit.factor

    def _tidy(self, now: float) -> None:
        if now - self._tidied < _FORGET_SECONDS:
            return
        self._tidied = now
        self._before = {
            key: seen for key, seen in self._before.items() if now - seen[0] < _FORGET_SECONDS
        }


class Share:
    """How much of two growing totals went to the first since the last look: hits in hits and
    misses. A share of the whole life would hide for days that something has changed.
    """

    def __init__(self, at_least: int = 1) -> None:
        """`at_least`: of fewer between two looks there is no share, as one more would change it."""
        self._at_least = at_least
        self._before: tuple[float, float] | None = None

    def percent(self, part: float, rest: float) -> float | None:
        """The part in percent of both; None on the first look, after a restart, or where too little
        happened.
        """
        before, self._before = self._before, (part, rest)
        if before is None or part < before[0] or rest < before[1]:
            return None
        part, rest = part - before[0], rest - before[1]
        return 100 * part / (part + rest) if part + rest >= self._at_least else None
