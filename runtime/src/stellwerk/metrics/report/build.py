"""Makes a report on one host from its history, and one on several from those of each."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.reader import History, history
from stellwerk.metrics.model import NO_THRESHOLDS, Kind, Series, Thresholds
from stellwerk.metrics.registry import METRICS, QUANTILES, Registry, series_by_key
from stellwerk.metrics.report.course import course
from stellwerk.metrics.report.figures import Figures
from stellwerk.metrics.report.model import Durations, Line, Problem, Report
from stellwerk.metrics.report.question import PERIODS, Question

LATELY_SECONDS: Final = 300
"""The latest value of a distribution is the percentile of this time."""

COMPARABLE: Final = 0.5
"""A period before with fewer collections than this share of those in the period is no measure."""

_MOMENT: Final = 0.001  # between two times of a history
_ORDER: Final = {one.key: place for place, one in enumerate(METRICS)}


def build(
    question: Question, folder: Path, registry: Registry, host: str, until: float, interval: float
) -> Report:
    """The report of a host on the period that ends at `until`, in seconds since the epoch.

    + interval: between two collections, in seconds

    HistoryError where the history cannot be read.
    """
    seconds = PERIODS[question.period]
    with ExitStack() as stack:
        past, lately, now = (
            stack.enter_context(history(folder, begin, end))
            for begin, end in (
                (until - 2 * seconds, until - seconds - _MOMENT),
                (until - LATELY_SECONDS, until),
                (until - seconds, until),
            )
        )
        comparable = past.collections >= COMPARABLE * now.collections
        before = past if comparable else None
        source = _Source(registry, host, until - seconds, until, interval, before, lately, now)
        lines = [
            line for series in _asked(now.keys, question) for line in source.lines(series, question)
        ]
        problems = {problem for one in (past, lately, now) for problem in one.problems}
    return Report(
        [host],
        question.period,
        until,
        registry.deviation_percent,
        lines,
        [Problem(host, problem) for problem in sorted(problems)],
    )


def merged(reports: Sequence[Report], problems: Iterable[Problem] = ()) -> Report:
    """One report of those of several hosts on one period. Distributions of the same requests, seen
    by several balancers, become one; of series with one name on several hosts each stays.

    + problems: besides those of the reports, such as hosts that did not answer
    """
    durations: dict[tuple[str, float], list[Line]] = {}
    lines = []
    for line in (line for report in reports for line in report.lines):
        if line.share is None:
            lines.append(line)
        else:
            durations.setdefault((line.series.key, line.share), []).append(line)
    lines += [_of_several(same) for same in durations.values()]
    lines.sort(key=lambda line: (_place(line.series), line.host, line.share or 0))
    return replace(
        reports[0],
        hosts=[host for report in reports for host in report.hosts],
        until=max(report.until for report in reports),
        lines=lines,
        problems=[*(one for report in reports for one in report.problems), *problems],
    )


@dataclass(frozen=True)
class _Source:
    registry: Registry
    host: str
    begin: float
    until: float
    interval: float
    past: History | None
    lately: History
    now: History

    def lines(self, series: Series, question: Question) -> Iterator[Line]:
        if series.metric.kind is Kind.DISTRIBUTION:
            yield from self._percentiles(series, question)
            return
        thresholds = self.registry.thresholds(series)
        if thresholds == NO_THRESHOLDS and not question.everything and not question.service:
            return
        points = self.now.points(series.key)
        figures = Figures.of(points, self.until, self.interval)
        if figures is not None:
            before = self.past.average(series.key) if self.past else None
            went = course(points, self.begin, self.until)
            yield Line(self.host, series, thresholds, figures, before, figures.average, course=went)

    def _percentiles(self, series: Series, question: Question) -> Iterator[Line]:
        baselines = self.registry.quantiles(series)
        whole = not series.labels or question.everything or question.service
        durations = Durations(
            self.now.durations(series.key),
            self.lately.durations(series.key),
            self.past.durations(series.key) if self.past else Histogram(),
        )
        for share in QUANTILES if whole else baselines:
            thresholds = baselines.get(share, NO_THRESHOLDS)
            line = _percentile(self.host, series, thresholds, share, durations)
            if line is not None:
                yield line


def _percentile(
    host: str, series: Series, thresholds: Thresholds, share: float, durations: Durations
) -> Line | None:
    unit = series.metric.unit.factor
    figures = Figures.of_durations(durations.period, durations.lately, share, unit)
    level = durations.period.quantile(share)
    if figures is None or level is None:
        return None
    before = durations.before.quantile(share)
    return Line(
        host,
        series,
        thresholds,
        figures,
        None if before is None else before / unit,
        level / unit,
        share,
        durations,
    )


def _of_several(lines: Sequence[Line]) -> Line:
    """The same percentile of what several hosts saw."""
    first = lines[0]
    seen = [line.durations for line in lines if line.durations is not None]
    if len(lines) == 1 or len(seen) < len(lines) or first.share is None:
        return first
    line = _percentile("", first.series, first.thresholds, first.share, Durations.sum(seen))
    return first if line is None else line


def _asked(keys: Iterable[str], question: Question) -> list[Series]:
    found = []
    for key in keys:
        try:
            series = series_by_key(key)
        except LookupError:  # of another release, which knew more
            continue
        if question.service is None or series.service == question.service:
            found.append(series)
    return sorted(found, key=_place)


def _place(series: Series) -> tuple[str, int, str]:
    return series.service, _ORDER.get(series.metric.key, len(_ORDER)), series.key
