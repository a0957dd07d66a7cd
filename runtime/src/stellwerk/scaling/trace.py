"""Traces of load: rows of a time and how much came since the row before. Reading is the only
effect.
"""

import csv
import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median


class TraceError(Exception):
    """A trace cannot be used; the message is one sentence that names the file."""


@dataclass(frozen=True)
class Trace:
    """Load per second in equal steps. Times are seconds since 1970, `step` seconds apart."""

    name: str
    start: float
    step: float
    rates: tuple[float, ...]

    @property
    def end(self) -> float:
        """The moment of the last rate."""
        return self.start + self.step * (len(self.rates) - 1)

    @property
    def peak(self) -> float:
        """The largest rate."""
        return max(self.rates)

    def at(self, moment: float) -> float:
        """The rate at a moment, on a line between the two rates around it."""
        place = min(max((moment - self.start) / self.step, 0.0), len(self.rates) - 1.0)
        before = int(place)
        after = min(before + 1, len(self.rates) - 1)
        share = place - before
        return self.rates[before] * (1 - share) + self.rates[after] * share

    def samples(self) -> Iterator[tuple[float, float]]:
        """Each moment with its rate."""
        return ((self.start + number * self.step, rate) for number, rate in enumerate(self.rates))

    def between(self, first: float, last: float) -> "Trace":
        """The part between two moments. Raises TraceError where nothing is there."""
        start = max(0, round((first - self.start) / self.step))
        stop = min(len(self.rates), round((last - self.start) / self.step) + 1)
        if stop - start < 2:
            raise TraceError(f"{self.name}: has nothing between the moments asked for")
        return Trace(self.name, self.start + start * self.step, self.step, self.rates[start:stop])


def read_trace(path: Path) -> Trace:
    """Read a CSV file with a header, a time (ISO 8601, UTC unless it says so) and an amount.

    Rows that are missing get the value on a line between their neighbours. Raises TraceError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from None
    rows = [row for row in csv.reader(io.StringIO(text)) if row][1:]
    moments: list[float] = []
    amounts: list[float] = []
    for number, row in enumerate(rows, start=2):
        moment, amount = _row(path, number, row)
        if moments and moment <= moments[-1]:
            raise TraceError(f"{path}:{number}: is not later than the row before it")
        moments.append(moment)
        amounts.append(amount)
    if len(moments) < 3:
        raise TraceError(f"{path}: expected at least three rows of a time and an amount")
    return _in_steps(path.stem, moments, amounts)


def _row(path: Path, number: int, row: Sequence[str]) -> tuple[float, float]:
    try:
        moment = datetime.fromisoformat(row[0])
        amount = float(row[1])
    except (IndexError, ValueError):
        raise TraceError(
            f"{path}:{number}: expected a time such as 2026-01-31T12:00 and an amount"
        ) from None
    if not 0 <= amount < float("inf"):
        raise TraceError(f"{path}:{number}: expected an amount of 0 or more")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp(), amount


def _in_steps(name: str, moments: Sequence[float], amounts: Sequence[float]) -> Trace:
    step = median(after - before for before, after in pairwise(moments))
    count = int((moments[-1] - moments[0]) // step) + 1
    rates = []
    for number in range(count):
        moment = moments[0] + number * step
        place = max(1, min(bisect_right(moments, moment), len(moments) - 1))
        length = moments[place] - moments[place - 1]
        share = min(1.0, (moment - moments[place - 1]) / length)
        amount = amounts[place - 1] * (1 - share) + amounts[place] * share
        rates.append(amount / step)
    return Trace(name, moments[0], step, tuple(rates))
