"""Reads the history of a host, also while it is being written."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.current import read
from stellwerk.metrics.history.day import Day
from stellwerk.metrics.history.errors import DamagedError
from stellwerk.metrics.history.files import Folder, day_of
from stellwerk.metrics.history.rows import Points, Rows

_Result = TypeVar("_Result")


@contextmanager
def history(folder: Path, start: float, end: float) -> Iterator["History"]:
    """The history in a folder from `start` to `end`, in seconds since the epoch, open for reading.

    It is that of one moment: what is written meanwhile is not in it. A damaged file is set aside
    and named among its problems. HistoryError where a file cannot be read.
    """
    with ExitStack() as stack:
        yield History(Folder(folder), round(1000 * start), round(1000 * end), stack)


class History:
    """What a period of the history has: see `history`."""

    def __init__(self, folder: Folder, first: int, last: int, stack: ExitStack) -> None:
        self._folder = folder
        self._span = (first, last)
        self.problems: list[str] = []
        """In sentences, what of the period cannot be read."""
        # In this order: what is packed between the two is seen twice, and not never.
        latest = self._without_damaged(lambda: read(folder.current, first, last)) or Rows([], {})
        self._days = list(self._opened(stack))
        self._latest = latest.without(
            {time for day in self._days for time in day.times_from(min(latest.times, default=last))}
        )

    @property
    def keys(self) -> set[str]:
        """The keys of all series of the period's days."""
        return {key for day in self._days for key in day.keys}.union(self._latest.columns)

    @property
    def collections(self) -> int:
        """How many collections there were."""
        packed = sum(day.collections(*self._span) for day in self._days)
        return packed + len(self._latest.times)

    def points(self, key: str) -> Points:
        """The values of a series in the order of time."""
        times = array("q")  # adds up without an object for each
        values: list[float] = []
        in_order = True
        for piece in self._pieces(key):
            in_order = in_order and (not times or not piece.times or times[-1] < piece.times[0])
            times.extend(piece.times)
            values.extend(piece.values)
        # Where the clock was set back, pieces overlap.
        return Points(times, values) if in_order else Points(times, values).sorted()

    def average(self, key: str) -> float | None:
        """The mean of a series; None where it has no values. Quicker than of its points."""
        latest = self._latest.points(key).values
        number, whole = len(latest), sum(latest)
        for day in self._days:
            for count, part in self._of_day(day, lambda day: day.totals(key, *self._span)):
                number, whole = number + count, whole + part
        return whole / number if number else None

    def durations(self, key: str) -> Histogram:
        """All durations of a distribution. Where its hour is packed they count from the period's
        first full five minutes on.
        """
        merged = Histogram()
        for day in self._days:
            for histogram in self._of_day(day, lambda day: day.durations(key, *self._span)):
                merged.merge(histogram)
        for sketch in self._latest.sketches:
            if sketch.key == key:
                merged.merge(sketch.durations)
        return merged

    def _pieces(self, key: str) -> Iterator[Points]:
        for day in self._days:
            yield from self._of_day(day, lambda day: day.points(key, *self._span))
        yield self._latest.points(key)

    def _opened(self, stack: ExitStack) -> Iterator[Day]:
        first, last = (day_of(time / 1000) for time in self._span)
        for date in self._folder.days():
            if first <= date <= last:
                path = self._folder.day(date)
                day = self._without_damaged(partial(Day.open, path))
                if day is not None:
                    yield stack.enter_context(closing(day))

    def _of_day(self, day: Day, look: Callable[[Day], Iterator[_Result]]) -> list[_Result]:
        """What a look into a day finds, and nothing if its file turns out to be damaged."""
        return self._without_damaged(lambda: list(look(day))) or []

    def _without_damaged(self, action: Callable[[], _Result]) -> _Result | None:
        try:
            return action()
        except DamagedError as error:
            self.problems.append(f"{error}; it is set aside")
            self._folder.set_aside(error.path)
            return None
