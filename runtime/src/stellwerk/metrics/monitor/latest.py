"""What is known of a host now: the latest reading of every subject, and each series' last value."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from stellwerk.metrics.exposition import Total
from stellwerk.metrics.model import Sample, Series
from stellwerk.metrics.rates import Rates
from stellwerk.metrics.reading import Observed, Reading


class Value(NamedTuple):
    """The last value of a series, in its metric's unit, and when it was measured (UTC)."""

    series: Series
    value: float
    at: float


class Latest:
    """Takes readings as they come in."""

    def __init__(self) -> None:
        self._readings: dict[str, Sequence[Reading]] = {}
        self._kept: dict[str, list[tuple[float, list[Sample]]]] = {}  # with the time of each
        self._rates = Rates()
        self._totals: dict[str, Total] = {}

    def take(self, collector: str, readings: Sequence[Reading], now: float) -> list[Sample]:
        """Take all that a collector found at one look, in place of what it found before. Returns
        the values in their metrics' units. `now` is in seconds of a monotonic clock.
        """
        kept = [(one.at, self._rates.kept(one.samples, now)) for one in readings]
        self._readings[collector] = readings
        self._kept[collector] = kept
        for one in observed(readings):
            self._count(one)
        return [sample for _, samples in kept for sample in samples]

    @property
    def readings(self) -> Iterator[Reading]:
        """The latest reading of every subject."""
        return (one for readings in self._readings.values() for one in readings)

    @property
    def totals(self) -> Iterable[Total]:
        """What was observed of every distribution since the monitor was started."""
        return self._totals.values()

    def values(self, service: str | None = None) -> Iterator[Value]:
        """The last value of every series, or of those of one service."""
        for kept in self._kept.values():
            for at, samples in kept:
                for series, value in samples:
                    if service is None or series.service == service:
                        yield Value(series, value, at)

    def _count(self, one: Observed) -> None:
        before = self._totals.get(one.series.key) or Total(one.series, 0, 0.0)
        self._totals[one.series.key] = Total(
            one.series,
            before.count + one.durations.count,
            before.seconds + one.durations.total,
        )


def observed(readings: Iterable[Reading]) -> list[Observed]:
    """The durations in readings."""
    return [one for reading in readings for one in reading.observed]
