"""Alerts and silences for programs: the API, `--json`, Alertmanager. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stellwerk.metrics.alerts.center import Alert
from stellwerk.metrics.alerts.silences import Silence
from stellwerk.metrics.model import Status, Thresholds


def host_document(
    host: str,
    at: float,
    alerts: Sequence[Alert],
    silences: Sequence[Silence],
    queued: Mapping[str, int],
) -> dict[str, Any]:
    """All there is to say of a host's alerts. Times are in ISO 8601, in UTC."""
    return {
        "host": host,
        "at": moment(at),
        "alerts": [alert_document(one) for one in alerts],
        "silences": [silence_document(one) for one in silences],
        "messages_queued": dict(queued),
    }


def alert_document(alert: Alert) -> dict[str, Any]:
    """An alert, with its value and thresholds in the metric's unit."""
    watch, series = alert.watch, alert.watch.series
    return {
        "severity": watch.severity.value,
        "summary": alert.sentence,
        "metric": series.metric.key,
        "service": series.service,
        "labels": dict(series.labels),
        "value": watch.value,
        "unit": series.metric.unit.symbol,
        "threshold": threshold(alert.thresholds, watch.severity),
        "since": None if watch.raised_at is None else moment(watch.raised_at),
        "measured_at": moment(watch.seen_at),
        "silenced": alert.silenced,
    }


def silence_document(silence: Silence) -> dict[str, Any]:
    """A silence; patterns are as in a shell."""
    return {
        "number": silence.number,
        "until": moment(silence.until),
        "by": silence.by,
        "reason": silence.reason,
        "metric": silence.metric,
        "service": silence.service,
        "subject": silence.subject,
    }


def threshold(thresholds: Thresholds, severity: Status) -> float | None:
    """From where on a value is as bad as that."""
    return thresholds.critical if severity is Status.CRITICAL else thresholds.warning


def moment(at: float) -> str:
    """A time as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat()
