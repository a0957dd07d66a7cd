"""What a report is: lines with figures, and how they are judged. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.model import Bound, Series, Status, Thresholds
from stellwerk.metrics.report.course import Course
from stellwerk.metrics.report.figures import Figures


class Durations(NamedTuple):
    """What a distribution has of the period, of its last minutes, and of the period before."""

    period: Histogram
    lately: Histogram
    before: Histogram

    @classmethod
    def sum(cls, parts: Iterable["Durations"]) -> "Durations":
        """All of several, such as hosts."""
        whole = cls(Histogram(), Histogram(), Histogram())
        for part in parts:
            for one, more in zip(whole, part, strict=True):
                one.merge(more)
        return whole


@dataclass(frozen=True, slots=True)
class Line:
    """A series, or a percentile of a distribution, over the period."""

    host: str
    """Where it was measured; "" where it is of several hosts."""
    series: Series
    thresholds: Thresholds
    figures: Figures
    before: float | None
    """What `level` was in the period before; None where too little is known of that."""
    level: float
    """The average, or the percentile, over the period."""
    share: float | None = None
    """Which percentile the latest value is, of a distribution."""
    durations: Durations | None = field(default=None, repr=False)
    """Of a distribution: what it can be added up from."""
    course: Course = field(default=(), repr=False)
    """Of a series: how it went over the period."""

    @property
    def status(self) -> Status | None:
        """How the latest value is judged; None where there is none."""
        latest = self.figures.latest
        return None if latest is None else self.thresholds.status(latest)

    @property
    def deviation_percent(self) -> float | None:
        """How far the latest value is off its baseline."""
        latest = self.figures.latest
        return None if latest is None else self.thresholds.deviation_percent(latest)

    @property
    def is_worse(self) -> bool:
        """Whether the latest value is off its baseline to the bad side."""
        deviation = self.deviation_percent or 0
        return deviation > 0 if self.thresholds.bound is Bound.UPPER else deviation < 0

    @property
    def trend_percent(self) -> float | None:
        """By how much the level has changed since the period before."""
        if not self.before:
            return None
        return 100 * (self.level - self.before) / abs(self.before)


@dataclass(frozen=True)
class Problem:
    """Something that could not be reported, in a sentence."""

    host: str
    sentence: str


@dataclass(frozen=True)
class Report:
    """A report on one host or on several."""

    hosts: Sequence[str]
    period: str
    until: float
    """End of the period, in seconds since the epoch."""
    deviation_percent: float
    """A latest value further off its baseline is pointed out."""
    lines: Sequence[Line]
    problems: Sequence[Problem] = ()

    @property
    def counts(self) -> Counter[Status]:
        """How many latest values are ok, a warning, critical."""
        return Counter(line.status for line in self.lines if line.status is not None)

    @property
    def services(self) -> dict[str, list[Line]]:
        """The lines by service, in the order they come."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.series.service, []).append(line)
        return found

    def with_status(self, status: Status) -> Iterator[Line]:
        """The lines whose latest value is judged so."""
        return (line for line in self.lines if line.status is status)

    def deviating(self) -> Iterator[Line]:
        """The lines whose latest value is too far off the baseline, to whichever side."""
        return filter(self.deviates, self.lines)

    def deviates(self, line: Line) -> bool:
        """Whether the latest value of a line is too far off the baseline."""
        deviation = line.deviation_percent
        return deviation is not None and abs(deviation) > self.deviation_percent
