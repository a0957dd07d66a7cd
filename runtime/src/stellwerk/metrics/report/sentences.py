"""What a report says of a line in words. Pure."""

from stellwerk.metrics.model import Bound, Status
from stellwerk.metrics.registry import QUANTILES
from stellwerk.metrics.report.model import Line
from stellwerk.metrics.units import Unit
from stellwerk.terminal.figures import short


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


def _is_flag(line: Line) -> bool:
    return line.series.metric.unit is Unit.FLAG


def _subject(line: Line) -> str:
    host = f" on {line.host}" if line.host else ""
    return f"{line.series.service}{host}: {name(line)}"


def _with_unit(line: Line, figure: float | None) -> str:
    return f"{value(line, figure)} {line.series.metric.unit.symbol}".rstrip()
