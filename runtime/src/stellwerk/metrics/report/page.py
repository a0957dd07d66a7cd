"""A report as one HTML page that needs nothing else. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Final

from stellwerk.charts.sparkline import sparkline
from stellwerk.metrics.model import Status
from stellwerk.metrics.report.model import Line, Report
from stellwerk.metrics.report.question import PERIODS, Question
from stellwerk.metrics.report.sentences import (
    Topic,
    change,
    counts,
    glued,
    name,
    summary,
    title,
    value,
)
from stellwerk.metrics.report.style import STYLE
from stellwerk.pages.frame import framed
from stellwerk.terminal.figures import short
from stellwerk.terminal.paint import one_line

_CLASSES: Final = {Status.CRITICAL: "bad", Status.WARNING: "weak", Status.OK: "good"}
_COLUMNS: Final = (
    *("Status", "Latest", "Baseline", "Deviation", "Average", "Minimum", "Maximum", "P95"),
    *("Trend", "Points", "Course"),
)
_EXPLAINED: Final = """<section><h2>How to read this</h2><ul>
<li>Latest is the last value of the period, of percentiles that of the last five minutes; the other
figures are of the whole period. A dash stands where nothing is known.</li>
<li>Trend is the change of the average, of a percentile its own, against the period before.</li>
<li>Course is drawn between its own lowest and highest value.</li>
</ul></section>"""


def page(report: Report, asked: Question | None = None) -> str:
    """The whole page.

    + asked: where a monitor answers it: what was asked for, and links to the other periods
    """
    return framed(f"Report: {title(report)}", STYLE, "\n".join(_parts(report, asked)))


def _parts(report: Report, asked: Question | None) -> Iterator[str]:
    yield f'<header class="{_state(report)}"><h1>{escape(title(report))}</h1>'
    yield f"<p>{counts(report)}</p>"
    if asked is not None:
        yield from _links(asked)
    yield "</header><main>"
    for topic, sentences in summary(report).items():
        if sentences:
            yield f'<section class="{topic.value}"><h2>{_heading(topic, report)}</h2><ul>'
            yield from (f"<li>{escape(glued(sentence))}</li>" for sentence in sentences)
            yield "</ul></section>"
    if report.lines:
        yield from _table(report)
        yield _EXPLAINED
    else:
        yield "<p>Nothing was measured in this time.</p>"
    yield "</main>"


def _state(report: Report) -> str:
    """The class of the worst there is to say."""
    usual = Status.WARNING if report.problems else Status.OK
    return _CLASSES[max([usual, *report.counts], key=lambda status: status.rank)]


def _links(asked: Question) -> Iterator[str]:
    yield '<nav aria-label="Period">'
    for period in PERIODS:
        if period == asked.period:
            yield f'<span aria-current="page">{period}</span>'
        else:
            yield _link(period, replace(asked, period=period))
    if asked.service is None:
        words = "only what is judged" if asked.everything else "all series"
        yield _link(words, replace(asked, everything=not asked.everything))
    else:
        yield _link("all services", replace(asked, service=None))
    yield "</nav>"


def _link(words: str, question: Question) -> str:
    return f'<a href="?{escape(question.query)}">{words}</a>'


def _heading(topic: Topic, report: Report) -> str:
    return {
        Topic.CRITICAL: "Critical",
        Topic.WARNING: "Warnings",
        Topic.OFF: f"More than {short(report.deviation_percent)} % off the baseline",
        Topic.UNREAD: "Not in this report",
    }[topic]


def _table(report: Report) -> Iterator[str]:
    yield "<table><caption>Metrics</caption><thead><tr>"
    yield "".join(f'<th scope="col">{heading}</th>' for heading in ("Metric", *_COLUMNS))
    yield "</tr></thead>"
    for service, lines in report.services.items():
        yield "<tbody>"
        yield f'<tr><th scope="rowgroup" colspan="{1 + len(_COLUMNS)}">{_plain(service)}</th></tr>'
        for line in lines:
            yield f"<tr>{_row_heading(report, line)}{''.join(_cells(report, line))}</tr>"
        yield "</tbody>"
    yield "</table>"


def _row_heading(report: Report, line: Line) -> str:
    symbol = escape(line.series.metric.unit.symbol)
    unit = f'&nbsp;<span class="unit">{symbol}</span>' if symbol else ""
    several = len(report.hosts) > 1
    host = f"<small>{_plain(line.host) or 'all hosts'}</small>" if several else ""
    return f'<th scope="row">{_plain(name(line))}{unit}{host}</th>'


def _cells(report: Report, line: Line) -> Iterator[str]:
    figures, status = line.figures, line.status
    css = _CLASSES[status] if status and line.thresholds.judges else ""
    is_bad = report.deviates(line) and line.is_worse
    contents: Sequence[tuple[str, str]] = (
        (status.value if status else "not known", css or "none"),
        (value(line, figures.latest), css),
        (value(line, line.thresholds.baseline), ""),
        (change(line.deviation_percent), "weak" if is_bad else ""),
        *((short(one), "") for one in
          (figures.average, figures.lowest, figures.highest, figures.p95)),
        (change(line.trend_percent), ""),
        (f"{figures.points:,}", ""),
        (sparkline(line.course) if line.course else "", "course"),
    )  # fmt: skip
    for heading, (text, of_cell) in zip(_COLUMNS, contents, strict=True):
        kind = f' class="{of_cell}"' if of_cell else ""
        content = text if heading == _COLUMNS[-1] else escape(text)
        yield f'<td{kind} data-of="{heading}">{content}</td>'


def _plain(text: str) -> str:
    return escape(one_line(text))
