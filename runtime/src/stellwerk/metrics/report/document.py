"""Reports as JSON documents, for programs and between hosts. Pure."""

import base64
import datetime
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.model import Bound, Status, Thresholds
from stellwerk.metrics.registry import QUANTILES, series_by_key
from stellwerk.metrics.report.figures import Figures
from stellwerk.metrics.report.model import Durations, Line, Problem, Report
from stellwerk.metrics.report.question import PERIODS
from stellwerk.metrics.report.sentences import deviation_sentence, status_sentence

_DIGITS: Final = 6  # more than any measurement has
_SHARES: Final = {name: share for share, name in QUANTILES.items()}


class DocumentError(ValueError):
    """What should be a report is none that is known here; the message is one sentence."""


def document(report: Report) -> dict[str, Any]:
    """The report as JSON's types. Unknown figures are null."""
    counts = report.counts
    return {
        "hosts": list(report.hosts),
        "period": report.period,
        "until": _time(report.until),
        "deviation_percent": report.deviation_percent,
        "counts": {status.value: counts[status] for status in Status},
        "critical": [status_sentence(one) for one in report.with_status(Status.CRITICAL)],
        "warnings": [status_sentence(one) for one in report.with_status(Status.WARNING)],
        "deviations": [deviation_sentence(one) for one in report.deviating()],
        "problems": [{"host": one.host, "problem": one.sentence} for one in report.problems],
        "services": {
            service: [_line(one) for one in lines] for service, lines in report.services.items()
        },
    }


def parsed(content: Any) -> Report:
    """The report of a document. DocumentError if it is none."""
    try:
        return Report(
            [str(host) for host in content["hosts"]],
            _known_period(content["period"]),
            datetime.datetime.fromisoformat(content["until"]).timestamp(),
            float(content["deviation_percent"]),
            [_parsed_line(one) for lines in content["services"].values() for one in lines],
            [Problem(one["host"], one["problem"]) for one in content["problems"]],
        )
    except (LookupError, TypeError, ValueError, AttributeError, zlib.error, struct.error) as error:
        raise DocumentError(
            f"the report is not one that this release knows ({type(error).__name__}: {error})"
        ) from None


def _line(line: Line) -> dict[str, Any]:
    series, thresholds, figures = line.series, line.thresholds, line.figures
    metric = series.metric
    return {
        "host": line.host,
        "metric": metric.key,
        "labels": dict(series.labels),
        "percentile": None if line.share is None else QUANTILES[line.share],
        "unit": metric.unit.symbol,
        "latest": _rounded(figures.latest),
        "status": None if line.status is None else line.status.value,
        "baseline": thresholds.baseline,
        "warning": thresholds.warning,
        "critical": thresholds.critical,
        "bound": thresholds.bound.value,
        "deviation_percent": _rounded(line.deviation_percent),
        "average": _rounded(figures.average),
        "minimum": _rounded(figures.lowest),
        "maximum": _rounded(figures.highest),
        "p95": _rounded(figures.p95),
        "points": figures.points,
        "level": _rounded(line.level),
        "level_before": _rounded(line.before),
        "trend_percent": _rounded(line.trend_percent),
        "course": [_rounded(one) for one in line.course],
        "key": series.key,
        "durations": line.durations
        and [base64.b64encode(one.packed()).decode() for one in line.durations],
    }


def _parsed_line(content: Mapping[str, Any]) -> Line:
    durations = content["durations"]
    percentile = content["percentile"]
    return Line(
        content["host"],
        series_by_key(content["key"]),
        Thresholds(
            content["baseline"], content["warning"], content["critical"], Bound(content["bound"])
        ),
        Figures(
            content["points"],
            content["latest"],
            content["average"],
            content["minimum"],
            content["maximum"],
            content["p95"],
        ),
        content["level_before"],
        content["level"],
        None if percentile is None else _SHARES[percentile],
        durations and Durations(*(Histogram.unpacked(base64.b64decode(one)) for one in durations)),
        tuple(None if one is None else float(one) for one in content["course"]),
    )


def _known_period(period: str) -> str:
    if period not in PERIODS:
        raise ValueError(f"unknown period {period!r}")
    return period


def _rounded(value: float | None) -> float | None:
    """A figure as it is written; JSON has none that is not finite, such as the trend of 1e-308."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
