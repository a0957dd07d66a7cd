"""How a series went over a period, in few enough values for a small line. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from stellwerk.metrics.history.rows import Points

PARTS: Final = 48
"""Half hours of a day."""

Course = tuple[float | None, ...]
"""The averages of the parts of a period; None where nothing was measured."""


def course(points: Points, begin: float, until: float) -> Course:
    """The averages of values in equal parts of a period, given in seconds since the epoch."""
    times, values = points
    step = (until - begin) / PARTS
    edges = [bisect_left(times, 1000 * (begin + step * part)) for part in range(1, PARTS)]
    return tuple(_average(values[a:b]) for a, b in pairwise([0, *edges, len(times)]))


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
