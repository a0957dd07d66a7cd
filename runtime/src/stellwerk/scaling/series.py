"""Samples of one metric over time, and what is known of it over a window. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


class Over(NamedTuple):
    """A metric over a window: its mean, and the newest value."""

    mean: float
    latest: float


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

    def over(self, after: float, until: float, *, stale_after: float) -> "Over | None":
        """What is known over a window; None where there is no sample, or the newest is too old."""
        newest = self.newest(until)
        if newest is None or until - newest[0] > stale_after:
            return None
        found = self.within(after, until)
        return Over(sum(found) / len(found), newest[1]) if found else None


NOTHING: Final = Series()
