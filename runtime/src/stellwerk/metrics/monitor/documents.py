"""What the API answers, from what is known now. Pure; which document is where is in `api`."""

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from stellwerk.metrics.model import Series, Status, Thresholds
from stellwerk.metrics.monitor.latest import Value
from stellwerk.metrics.reading import Observed, Reading, State
from stellwerk.metrics.registry import QUANTILES, Registry


def health(readings: Iterable[Reading], at: float) -> dict[str, Any]:
    """How each subject was found at the last look."""
    return {
        "time": _time(at),
        "sources": [
            {
                "source": reading.source.value,
                "subject": reading.subject,
                "state": reading.state.value,
                "time": _time(reading.at),
                "duration_ms": round(1000 * reading.duration, 3),
                "error": reading.error,
                "gaps": [{"state": gap.state.value, "reason": gap.reason} for gap in reading.gaps],
            }
            for reading in readings
        ],
    }


def metrics(
    values: Iterable[Value], seen: Iterable[Observed], registry: Registry, at: float
) -> dict[str, Any]:
    """Every value with its unit, baseline, thresholds, deviation and status; distributions with
    their percentiles, and whole for who adds up those of several hosts.
    """
    return {
        "time": _time(at),
        "metrics": [_metric(value, registry) for value in values],
        "distributions": [_distribution(one, registry) for one in seen],
    }


def _metric(value: Value, registry: Registry) -> dict[str, Any]:
    thresholds = registry.thresholds(value.series)
    return {
        **_named(value.series),
        "value": value.value,
        "time": _time(value.at),
        **_judged(value.value, thresholds),
    }


def _distribution(one: Observed, registry: Registry) -> dict[str, Any]:
    baselines = registry.quantiles(one.series)
    found = {
        name: 1000 * seconds
        for share, name in QUANTILES.items()
        if (seconds := one.durations.quantile(share)) is not None
    }
    return {
        **_named(one.series),
        "count": one.durations.count,
        "quantiles": {
            name: {"value": value, **_judged(value, baselines.get(share, Thresholds()))}
            for share, name in QUANTILES.items()
            if (value := found.get(name)) is not None
        },
        "histogram": base64.b64encode(one.durations.packed()).decode("ascii"),
    }


def _named(series: Series) -> dict[str, Any]:
    return {
        "name": series.metric.key,
        "service": series.service,
        "labels": dict(series.labels),
        "unit": series.metric.unit.symbol,
    }


def _judged(value: float, thresholds: Thresholds) -> dict[str, Any]:
    known = {
        "baseline": thresholds.baseline,
        "warning": thresholds.warning,
        "critical": thresholds.critical,
    }
    found: dict[str, Any] = {name: one for name, one in known.items() if one is not None}
    if thresholds.judges:
        found["bound"] = thresholds.bound.value
    deviation = thresholds.deviation_percent(value)
    if deviation is not None:
        found["deviation_percent"] = round(deviation, 2)
    return {**found, "status": thresholds.status(value).value}


def worst(values: Iterable[Value], registry: Registry) -> Status:
    """The worst status of values."""
    found: Iterator[Status] = (registry.thresholds(one.series).status(one.value) for one in values)
    return max(found, key=lambda status: status.rank, default=Status.OK)


def unavailable(readings: Iterable[Reading]) -> list[Reading]:
    """The subjects that do not serve, or cannot be read."""
    return [one for one in readings if one.state is not State.UP]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
