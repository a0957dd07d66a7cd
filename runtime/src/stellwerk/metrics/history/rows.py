"""Collections as rows and columns in memory, on their way between the files of a history. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from stellwerk.metrics.histogram import Histogram


class Sketch(NamedTuple):
    """The durations of a distribution that one collection brought."""

    time: int
    key: str
    durations: Histogram


class Points(NamedTuple):
    """Some values of one series and their times, in milliseconds since the epoch."""

    times: Sequence[int]
    values: Sequence[float]

    def within(self, first: int, last: int) -> "Points":
        """Those from `first` to `last`, both included."""
        if not self.times or (first <= self.times[0] and self.times[-1] <= last):
            return self
        span = slice(bisect_left(self.times, first), bisect_right(self.times, last))
        return Points(self.times[span], self.values[span])

    def sorted(self) -> "Points":
        """The same in the order of time."""
        order = sorted(range(len(self.times)), key=self.times.__getitem__)
        return Points([self.times[one] for one in order], [self.values[one] for one in order])


@dataclass
class Rows:
    """Collections in the order of time, series by series."""

    times: list[int]
    """Of each collection, in milliseconds since the epoch; no two alike."""
    columns: Mapping[str, Sequence[float]]
    """By the series' key: a value for each collection, NaN where it has none."""
    sketches: list[Sketch] = field(default_factory=list)

    def points(self, key: str) -> Points:
        """The values of one series."""
        pairs = zip(self.times, self.columns.get(key, ()), strict=False)
        there = [(time, value) for time, value in pairs if value == value]
        return Points([time for time, _ in there], [value for _, value in there])

    def without(self, times: set[int]) -> Self:
        """The collections of other times than these."""
        if times.isdisjoint(self.times):
            return self
        places = [place for place, time in enumerate(self.times) if time not in times]
        return type(self)(
            [self.times[place] for place in places],
            {key: [column[place] for place in places] for key, column in self.columns.items()},
            [sketch for sketch in self.sketches if sketch.time not in times],
        )

    def merged(self, other: Self) -> Self:
        """The collections of both; of two at one time this one's. Sketches are the other's."""
        other = other.without(set(self.times))
        times = self.times + other.times
        order = sorted(range(len(times)), key=times.__getitem__)
        columns = {}
        for key in {**self.columns, **other.columns}:
            both = [*self._column(key), *other._column(key)]
            columns[key] = [both[place] for place in order]
        return type(self)([times[place] for place in order], columns, other.sketches)

    def _column(self, key: str) -> Sequence[float]:
        return self.columns.get(key) or [math.nan] * len(self.times)
