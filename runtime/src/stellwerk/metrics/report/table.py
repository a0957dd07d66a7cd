"""A report for a terminal, at least 80 columns wide. Pure."""

import textwrap
from collections.abc import Iterator
from typing import Final

from stellwerk.metrics.model import Status
from stellwerk.metrics.report.model import Line, Report
from stellwerk.metrics.report.sentences import (
    NO_BREAK,
    Topic,
    change,
    counts,
    glued,
    name,
    summary,
    title,
    value,
)
from stellwerk.terminal.columns import Cell, Column, laid_out, natural_width
from stellwerk.terminal.figures import short
from stellwerk.terminal.paint import Paint, Tone, one_line

LEAST_WIDTH: Final = 80
_LEAST_NAME_WIDTH: Final = 14
_LEAST_HOST_WIDTH: Final = 5
_MARKS: Final = {Status.CRITICAL: "!! ", Status.WARNING: "!  "}
_NO_MARK: Final = "   "
_TONES: Final = {Status.CRITICAL: Tone.BAD, Status.WARNING: Tone.WEAK, Status.OK: Tone.GOOD}
_TONES_OF_TOPICS: Final = {
    Topic.CRITICAL: Tone.BAD,
    Topic.WARNING: Tone.WEAK,
    Topic.OFF: Tone.NONE,
    Topic.UNREAD: Tone.WEAK,
}
_INDENT: Final = 10


def table(report: Report, width: int, paint: Paint) -> list[str]:
    """The lines of the report, none longer than `width` (or 80 if that is more)."""
    width = max(width, LEAST_WIDTH)
    return [
        *textwrap.wrap(f"{title(report)}, {counts(report)}", width),
        *_figures(report, width, paint),
        *_summary(report, width, paint),
    ]


def _figures(report: Report, width: int, paint: Paint) -> Iterator[str]:
    if not report.lines:
        yield "Nothing was measured in this time."
        return
    several = len(report.hosts) > 1
    columns = _columns(several, with_points=True)
    rows = [_cells(report, line, with_points=True) for line in report.lines]
    if natural_width(columns, rows) > width:
        columns = _columns(several, with_points=False)
        rows = [_cells(report, line, with_points=False) for line in report.lines]
    heading, *drawn = laid_out(columns, rows, width, paint)
    lines = iter(drawn)
    yield ""
    yield heading
    for service, members in report.services.items():
        yield paint(one_line(service), Tone.STRONG)
        for _ in members:
            yield next(lines)


def _columns(several: bool, *, with_points: bool) -> list[Column]:
    hosts = [Column("HOST", least=_LEAST_HOST_WIDTH)] if several else []
    points = [Column("POINTS", right=True)] if with_points else []
    figures = ("LATEST", "±BASE", "AVG", "MIN", "MAX", "P95", "TREND")
    return [
        Column(f"{_NO_MARK}METRIC", least=_LEAST_NAME_WIDTH),
        *hosts,
        *(Column(figure, right=True) for figure in figures),
        *points,
    ]


def _cells(report: Report, line: Line, *, with_points: bool) -> list[Cell]:
    figures, status = line.figures, line.status
    mark = _NO_MARK if status is None else _MARKS.get(status, _NO_MARK)
    unit = line.series.metric.unit.symbol
    judged = line.thresholds.judges and status is not None
    cells = [Cell(mark + one_line(f"{name(line)} {unit}"))]
    if len(report.hosts) > 1:
        cells.append(Cell(one_line(line.host) or "all", Tone.DIM))
    cells.append(
        Cell(value(line, figures.latest), _TONES[status] if judged and status else Tone.NONE)
    )
    is_bad = report.deviates(line) and line.is_worse
    cells.append(Cell(change(line.deviation_percent), Tone.WEAK if is_bad else Tone.NONE))
    cells += [
        Cell(short(one)) for one in (figures.average, figures.lowest, figures.highest, figures.p95)
    ]
    cells.append(Cell(change(line.trend_percent), Tone.DIM))
    if with_points:
        cells.append(Cell(f"{figures.points}", Tone.DIM))
    return cells


def _summary(report: Report, width: int, paint: Paint) -> Iterator[str]:
    found = summary(report)
    if any(found.values()):
        yield ""
    for topic, sentences in found.items():
        for sentence in sentences:
            first, *rest = _wrapped(sentence, width)
            yield paint(f"{topic.value:{_INDENT}}", _TONES_OF_TOPICS[topic]) + first[_INDENT:]
            yield from rest


def _wrapped(sentence: str, width: int) -> list[str]:
    """The sentence in lines, no figure parted from its unit."""
    indent = " " * _INDENT
    lines = textwrap.wrap(glued(sentence), width, initial_indent=indent, subsequent_indent=indent)
    return [line.replace(NO_BREAK, " ") for line in lines]
