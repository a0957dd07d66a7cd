"""A run over time, for plots: at most some hundred points, however long it was. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from stellwerk.loadtest.endpoint import Times
from stellwerk.loadtest.record import RunRecord

_MOST_POINTS: Final = 300


@dataclass(frozen=True)
class Point:
    """The time from `second` on until the next point: rates per second, times in milliseconds.

    Failures and response times are those of the requests meant to start then; answers came then.
    """

    second: int
    planned: float
    answered: float
    failed: float
    response: Times


def series(record: RunRecord, kinds: tuple[int, ...] | None = None) -> list[Point]:
    """The points of a run, for some kinds of requests or all."""
    # What was answered after the end of the schedule is no throughput to plot.
    seconds = record.recording.seconds[: math.ceil(record.elapsed)]
    width = max(1, math.ceil(len(seconds) / _MOST_POINTS))
    points = []
    for first in seconds[::width]:
        cell = record.merged(range(first, first + width), kinds)
        span = min(float(width), record.elapsed - first)  # the last one may be shorter
        points.append(
            Point(
                first,
                cell.requests / span,
                cell.answered / span,
                cell.failed / span,
                Times.of(cell.response),
            )
        )
    return points


def quantile_curve(record: RunRecord, kind: int) -> list[tuple[float, float]]:
    """How long the slowest share of the requests took: pairs of a share and milliseconds."""
    histogram = record.judged((kind,)).response
    shares = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9999)
    return [
        (share, 1000 * value)
        for share in shares
        if histogram.count * (1 - share) >= 1 and (value := histogram.quantile(share)) is not None
    ]
