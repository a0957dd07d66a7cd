"""Alerts in sentences. Pure."""

from datetime import UTC, datetime

from stellwerk.metrics.alerts.evaluation import Watch
from stellwerk.metrics.declarations import service
from stellwerk.metrics.model import Bound, Series, Status, Thresholds
from stellwerk.metrics.units import Unit


def subject(series: Series) -> str:
    """What a series is about: "postgresql", "redis 6379", "aktienanalyse-core@8101"."""
    if series.service in series.subject:
        return series.subject
    return f"{series.service} {series.subject}".rstrip()


def figure(value: float, unit: Unit) -> str:
    """A value with its unit, in as many digits as say something."""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit.symbol}".rstrip()


def alert(watch: Watch, thresholds: Thresholds) -> str:
    """What is wrong: "redis 6379 is down", "db-1 ...: cpu_percent is 97 %, critical from 95 %"."""
    series = watch.series
    metric = series.metric
    if metric.unit is Unit.FLAG:
        if metric.name == service.AVAILABILITY.name:
            return f"{subject(series)} is down"
        return f"{subject(series)}: {metric.name} is {watch.value:g}"
    severity = watch.severity
    limit = thresholds.critical if severity is Status.CRITICAL else thresholds.warning
    said = f"{subject(series)}: {metric.name} is {figure(watch.value, metric.unit)}"
    if limit is None:
        return said
    side = "from" if thresholds.bound is Bound.UPPER else "up to"
    return f"{said}, {severity.value} {side} {figure(limit, metric.unit)}"


def cleared(watch: Watch) -> str:
    """What is in order again."""
    series = watch.series
    metric = series.metric
    if metric.name == service.AVAILABILITY.name and metric.unit is Unit.FLAG:
        return f"{subject(series)} is up again"
    value = figure(watch.value, metric.unit)
    return f"{subject(series)}: {metric.name} is {value} and in order again"


def lost(watch: Watch) -> str:
    """What is not known any more."""
    series = watch.series
    since = moment(watch.seen_at)
    return f"{subject(series)}: {series.metric.name} is not measured any more since {since}"


def moment(at: float) -> str:
    """A time of day: "12:03:20 UTC"."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
