"""Samples of one metric over time, and what is known of it over a window. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of a metric, oldest first. Times are seconds since 1970. What is not a finite number
    is no sample.
    """

    times: Sequence[float] = ()
    values: Sequence[float] = ()

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(f"{len(self.times)} times and {len(self.values)} values")

    def within(self, after: float, until: float) -> Sequence[float]:
        """The finite values later than `after` and not later than `until`."""
        first, last = bisect_right(self.times, after), bisect_right(self.times, until)
        found = self.values[first:last]
        # A sum is finite where all are, and is quicker to take than to look at each.
        if not math.isfinite(sum(found)):
            return [value for value in found if math.isfinite(value)]
        return found

    def newest(self, until: float) -> tuple[float, float] | None:
        """Time and value of the newest finite sample that is not later than `until`."""
        for place in range(bisect_right(self.times, until) - 1, -1, -1):
            if math.isfinite(self.values[place]):
                return self.times[place], self.values[place]
        return None

    def mean(self, after: float, until: float, *, stale_after: float) -> float | None:
        """The mean over a window; None where there is no sample, or the newest is too old."""
        newest = self.newest(until)
        if newest is None or until - newest[0] > stale_after:
            return None
        found = self.within(after, until)
        return sum(found) / len(found) if found else None

    def since(self, moment: float) -> "Series":
        """The samples from a moment on."""
        first = bisect_left(self.times, moment)
        return Series(self.times[first:], self.values[first:]) if first else self


NOTHING: Final = Series()
