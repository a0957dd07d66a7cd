"""What a report says of a line in words. Pure."""

from stellwerk.metrics.model import Bound, Status
from stellwerk.metrics.registry import QUANTILES
from stellwerk.metrics.report.model import Line
from stellwerk.metrics.units import Unit
from stellwerk.terminal.figures import short


def name(line: Line) -> str:
    """What the line is about, without its service: "cpu @8101", "GET /api/orders p95"."""
    series = line.series
    suffix = series.metric.unit.suffix
    words = series.metric.name.removesuffix(f"_{suffix}").replace("_", " ")
    subject = series.subject.removeprefix(series.service)
    share = "" if line.share is None else QUANTILES[line.share]
    return " ".join(part for part in (words, subject, share) if part)


def status_sentence(line: Line) -> str:
    """Why a line is a warning or critical."""
    thresholds, latest = line.thresholds, line.figures.latest
    status = line.status
    threshold = thresholds.critical if status is Status.CRITICAL else thresholds.warning
    if latest is None or status is None or threshold is None:
        return f"{_subject(line)} is {_with_unit(line, latest)}"
    side = "from" if thresholds.bound is Bound.UPPER else "down from"
    word = "critical" if status is Status.CRITICAL else "a warning"
    limit = _with_unit(line, threshold)
    return f"{_subject(line)} is {_with_unit(line, latest)}; {word} {side} {limit} on"


def deviation_sentence(line: Line) -> str:
    """How far a line is off its baseline."""
    side = "above" if (line.deviation_percent or 0) > 0 else "below"
    deviation = abs(line.deviation_percent or 0)
    return (
        f"{_subject(line)} is {_with_unit(line, line.figures.latest)}, {deviation:.0f} % {side}"
        f" its baseline of {_with_unit(line, line.thresholds.baseline)}"
    )


def value(line: Line, figure: float | None) -> str:
    """A figure of the line in a few letters, without its unit; of flags "yes" or "no"."""
    if line.series.metric.unit is Unit.FLAG and figure is not None:
        return "yes" if figure else "no"
    return short(figure)


def _subject(line: Line) -> str:
    host = f" on {line.host}" if line.host else ""
    return f"{line.series.service}{host}: {name(line)}"


def _with_unit(line: Line, figure: float | None) -> str:
    return f"{value(line, figure)} {line.series.metric.unit.symbol}".rstrip()
