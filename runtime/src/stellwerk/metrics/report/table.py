"""A report for a terminal, at least 80 columns wide. Pure."""

import datetime
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from stellwerk.metrics.model import Status
from stellwerk.metrics.report.model import Line, Report
from stellwerk.metrics.report.sentences import deviation_sentence, name, status_sentence, value
from stellwerk.terminal.columns import Cell, Column, laid_out, natural_width
from stellwerk.terminal.figures import plural, short
from stellwerk.terminal.paint import Paint, Tone, one_line

LEAST_WIDTH: Final = 80
_LEAST_NAME_WIDTH: Final = 14
_LEAST_HOST_WIDTH: Final = 5
_MARKS: Final = {Status.CRITICAL: "!! ", Status.WARNING: "!  "}
_NO_MARK: Final = "   "
_TONES: Final = {Status.CRITICAL: Tone.BAD, Status.WARNING: Tone.WEAK, Status.OK: Tone.GOOD}
_MOST_PERCENT: Final = 999
_INDENT: Final = 10
_BETWEEN_FIGURE_AND_UNIT: Final = re.compile(r"(?<=\d[\dkMGT]) |(?<=\d) ")
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


def table(report: Report, width: int, paint: Paint) -> list[str]:
    """The lines of the report, none longer than `width` (or 80 if that is more)."""
    width = max(width, LEAST_WIDTH)
    return [
        *textwrap.wrap(_headline(report), width),
        *_figures(report, width, paint),
        *_summary(report, width, paint),
    ]


def _headline(report: Report) -> str:
    counts = report.counts
    until = datetime.datetime.fromtimestamp(report.until, datetime.UTC)
    hosts = ", ".join(map(one_line, report.hosts))
    return (
        f"{hosts}: {report.period} until {until:%Y-%m-%d %H:%M} UTC,"
        f" {counts[Status.CRITICAL]} critical, {plural(counts[Status.WARNING], 'warning')},"
        f" {counts[Status.OK]} ok"
    )


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
    cells.append(Cell(_percent(line.deviation_percent), Tone.WEAK if is_bad else Tone.NONE))
    cells += [
        Cell(short(one)) for one in (figures.average, figures.lowest, figures.highest, figures.p95)
    ]
    cells.append(Cell(_percent(line.trend_percent), Tone.DIM))
    if with_points:
        cells.append(Cell(f"{figures.points}", Tone.DIM))
    return cells


def _summary(report: Report, width: int, paint: Paint) -> Iterator[str]:
    several = len(report.hosts) > 1
    found: Sequence[tuple[str, Tone, list[str]]] = (
        (
            "critical",
            Tone.BAD,
            _said(status_sentence, report.with_status(Status.CRITICAL), several),
        ),
        ("warning", Tone.WEAK, _said(status_sentence, report.with_status(Status.WARNING), several)),
        ("off", Tone.NONE, _said(deviation_sentence, report.deviating(), several)),
        ("unread", Tone.WEAK, [f"{one.host}: {one.sentence}" for one in report.problems]),
    )
    if any(sentences for *_, sentences in found):
        yield ""
    for word, tone, sentences in found:
        for sentence in sentences:
            first, *rest = _wrapped(one_line(sentence), width)
            yield paint(f"{word:{_INDENT}}", tone) + first[_INDENT:]
            yield from rest


def _said(say: Callable[[Line], str], lines: Iterable[Line], several: bool) -> list[str]:
    """Sentences on lines; the only host of a report is in its headline."""
    return [say(line if several else replace(line, host="")) for line in lines]


def _wrapped(sentence: str, width: int) -> list[str]:
    """The sentence in lines, no figure parted from its unit."""
    indent = " " * _INDENT
    glued = _BETWEEN_FIGURE_AND_UNIT.sub(_NO_BREAK, sentence)
    lines = textwrap.wrap(glued, width, initial_indent=indent, subsequent_indent=indent)
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _percent(deviation: float | None) -> str:
    if deviation is None:
        return "-"
    if abs(deviation) > _MOST_PERCENT:
        return f"{'>' if deviation > 0 else '<-'}{_MOST_PERCENT}%"
    return f"{deviation:+.0f}%".replace("-0%", "0%").replace("+0%", "0%")
