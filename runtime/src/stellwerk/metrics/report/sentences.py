"""What a report says in words, whatever form it has. Pure."""

import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from stellwerk.metrics.model import Bound, Status
from stellwerk.metrics.registry import QUANTILES
from stellwerk.metrics.report.model import Line, Report
from stellwerk.metrics.units import Unit
from stellwerk.terminal.figures import plural, short
from stellwerk.terminal.paint import one_line

NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_BETWEEN_FIGURE_AND_UNIT: Final = re.compile(r"(?<=\d[\dkMGT]) |(?<=\d) ")
_MOST_PERCENT: Final = 999


class Topic(Enum):
    """What a summary has sentences on."""

    CRITICAL = "critical"
    WARNING = "warning"
    OFF = "off"
    """Latest values that are too far off their baselines."""
    UNREAD = "unread"
    """What is not in the report though it should be."""


def title(report: Report) -> str:
    """On which hosts and which time a report is."""
    until = datetime.datetime.fromtimestamp(report.until, datetime.UTC)
    hosts = ", ".join(map(one_line, report.hosts))
    return f"{hosts}: {report.period} until {until:%Y-%m-%d %H:%M} UTC"


def counts(report: Report) -> str:
    """How many latest values are judged how."""
    found = report.counts
    return (
        f"{found[Status.CRITICAL]} critical, {plural(found[Status.WARNING], 'warning')},"
        f" {found[Status.OK]} ok"
    )


def summary(report: Report) -> Mapping[Topic, Sequence[str]]:
    """What is worth a sentence, each in one line; the only host of a report is in its title."""
    several = len(report.hosts) > 1

    def said(say: Callable[[Line], str], lines: Iterable[Line]) -> list[str]:
        return [one_line(say(line if several else replace(line, host=""))) for line in lines]

    return {
        Topic.CRITICAL: said(status_sentence, report.with_status(Status.CRITICAL)),
        Topic.WARNING: said(status_sentence, report.with_status(Status.WARNING)),
        Topic.OFF: said(deviation_sentence, report.deviating()),
        Topic.UNREAD: [one_line(f"{one.host}: {one.sentence}") for one in report.problems],
    }


def glued(sentence: str) -> str:
    """The sentence with NO_BREAK between figures and what follows them, such as units."""
    return _BETWEEN_FIGURE_AND_UNIT.sub(NO_BREAK, sentence)


def name(line: Line) -> str:
    """What the line is about, without its service: "cpu @8101", "p95 GET /api/orders"."""
    series = line.series
    suffix = series.metric.unit.suffix
    words = series.metric.name.removesuffix(f"_{suffix}").replace("_", " ")
    subject = series.subject.removeprefix(series.service)
    if line.share is not None:
        return f"{QUANTILES[line.share]} {subject or words}"
    return " ".join(part for part in (words, subject) if part)


def status_sentence(line: Line) -> str:
    """Why a line is a warning or critical."""
    thresholds, latest = line.thresholds, line.figures.latest
    status = line.status
    threshold = thresholds.critical if status is Status.CRITICAL else thresholds.warning
    if latest is None or status is None or threshold is None or _is_flag(line):
        return f"{_subject(line)} is {_with_unit(line, latest)}"
    side = "from" if thresholds.bound is Bound.UPPER else "down from"
    word = "critical" if status is Status.CRITICAL else "a warning"
    limit = _with_unit(line, threshold)
    return f"{_subject(line)} is {_with_unit(line, latest)}; {word} {side} {limit} on"


def deviation_sentence(line: Line) -> str:
    """How far a line is off its baseline."""
    latest = _with_unit(line, line.figures.latest)
    baseline = _with_unit(line, line.thresholds.baseline)
    if _is_flag(line):
        return f"{_subject(line)} is {latest}, its baseline {baseline}"
    side = "above" if (line.deviation_percent or 0) > 0 else "below"
    deviation = abs(line.deviation_percent or 0)
    return f"{_subject(line)} is {latest}, {deviation:.0f} % {side} its baseline of {baseline}"


def value(line: Line, figure: float | None) -> str:
    """A figure of the line in a few letters, without its unit; of flags "yes" or "no"."""
    if _is_flag(line) and figure is not None:
        return "yes" if figure else "no"
    return short(figure)


def change(percent: float | None) -> str:
    """A change in percent in at most six letters: "+12%", ">999%"; "-" if unknown."""
    if percent is None:
        return "-"
    if abs(percent) > _MOST_PERCENT:
        return f"{'>' if percent > 0 else '<-'}{_MOST_PERCENT}%"
    return f"{percent:+.0f}%".replace("-0%", "0%").replace("+0%", "0%")


def _is_flag(line: Line) -> bool:
    return line.series.metric.unit is Unit.FLAG


def _subject(line: Line) -> str:
    host = f" on {line.host}" if line.host else ""
    return f"{line.series.service}{host}: {name(line)}"


def _with_unit(line: Line, figure: float | None) -> str:
    return f"{value(line, figure)} {line.series.metric.unit.symbol}".rstrip()
