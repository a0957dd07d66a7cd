"""A Grafana dashboard: what is wrong; a row per source with a panel per metric. Pure."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stellwerk.metrics.model import Bound, Kind, Metric, Source, Thresholds
from stellwerk.metrics.prometheus.names import exposed_name, expression, in_base_units
from stellwerk.metrics.prometheus.rules import JOB
from stellwerk.metrics.registry import METRICS, Registry
from stellwerk.metrics.units import Unit
from stellwerk.settings.root import Settings

_SCHEMA: Final = 37  # Grafana 9 and later read it
_COLUMNS: Final = 3
_WIDTH: Final = 24 // _COLUMNS
_HEIGHT: Final = 7
_OVERVIEW_HEIGHT: Final = 8
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WINDOW: Final = "$__rate_interval"
_SELECTOR: Final = 'host=~"$host"'
_UNITS: Final[Mapping[Unit, str]] = {
    Unit.PERCENT: "percentunit",
    Unit.CORE_PERCENT: "percentunit",
    Unit.MILLISECONDS: "s",
    Unit.SECONDS: "s",
    Unit.BYTES: "bytes",
    Unit.MEGABYTES: "bytes",
    Unit.BYTES_PER_SECOND: "Bps",
    Unit.PER_SECOND: "ops",
    Unit.PER_MINUTE: "ops",
    Unit.PER_HOUR: "ops",
}
_TRACE: Final = 1e-9
_OPTIONS: Final = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    "tooltip": {"mode": "multi"},
}
_GREEN, _ORANGE, _RED = "green", "orange", "red"
_ANY_IS_BAD: Final = [{"color": _GREEN, "value": None}, {"color": _RED, "value": 1}]
_NONE_IS_BAD: Final = [{"color": _RED, "value": None}, {"color": _GREEN, "value": 1}]


def dashboard(
    settings: Settings, title: str, sources: Iterable[Source] = tuple(Source)
) -> dict[str, Any]:
    """The dashboard, ready for JSON. Data source and hosts are chosen in Grafana.

    + sources: whose metrics it shows
    """
    return {
        "title": title,
        "uid": _identity(title),
        "tags": ["stellwerk"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": f"{max(15, settings.monitoring.interval_seconds)}s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasources(), _hosts()]},
        "panels": list(_panels(Registry(settings), sources)),
    }


def _identity(title: str) -> str:
    """The same each time: a new version takes the place of the one before, and of no other."""
    return f"{JOB}-{hashlib.sha256(title.encode()).hexdigest()[:12]}"


def _datasources() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus"}  # fmt: skip


def _hosts() -> dict[str, Any]:
    return {
        "name": "host",
        "label": "Host",
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": "label_values(up, host)", "refId": "hosts"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels(registry: Registry, sources: Iterable[Source]) -> Iterator[dict[str, Any]]:
    numbers = itertools.count(1)
    yield from _overview(numbers)
    top = _OVERVIEW_HEIGHT
    for source in sources:
        metrics = [one for one in METRICS if one.source is source]
        if metrics:
            yield {
                "id": next(numbers),
                "type": "row",
                "title": source.value,
                "collapsed": True,  # Grafana asks for nothing that is not looked at
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
                "panels": [
                    _panel(registry, one, next(numbers), _position(place, top + 1))
                    for place, one in enumerate(metrics)
                ],
            }
            top += 1


def _position(place: int, top: int) -> dict[str, int]:
    row, column = divmod(place, _COLUMNS)
    return {"x": column * _WIDTH, "y": top + row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}


def _overview(numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """Which alerts Prometheus has, and which monitors it cannot reach."""
    alerts = (
        f'sum by (host, service, alertname, severity) (ALERTS{{alertstate="firing",{_SELECTOR}}})'
    )
    up = f'up{{job="{JOB}",{_SELECTOR}}}'
    for place, (title, query, legend, steps) in enumerate(
        (
            ("Alerts", alerts, "{{host}} {{service}} {{alertname}} {{severity}}", _ANY_IS_BAD),
            ("Monitors", up, "{{host}}", _NONE_IS_BAD),
        )
    ):
        width = 24 // 2
        yield {
            "id": next(numbers),
            "type": "timeseries",
            "title": title,
            "datasource": _DATASOURCE,
            "gridPos": {"x": place * width, "y": 0, "w": width, "h": _OVERVIEW_HEIGHT},
            "fieldConfig": {
                "defaults": {
                    "min": 0,
                    "decimals": 0,
                    "thresholds": {"mode": "absolute", "steps": steps},
                },
                "overrides": [],
            },
            "options": _OPTIONS,
            "targets": [_target("A", query, legend)],
        }


def _panel(
    registry: Registry, one: Metric, number: int, position: dict[str, int]
) -> dict[str, Any]:
    thresholds = registry.thresholds(one.series(**dict.fromkeys(one.labels, "any")))
    defaults: dict[str, Any] = {
        "unit": _UNITS.get(one.unit, "short"),
        "custom": {"thresholdsStyle": {"mode": "line" if thresholds.judges else "off"}},
        "thresholds": {"mode": "absolute", "steps": _steps(one, thresholds)},
    }
    if one.unit is Unit.FLAG:
        defaults |= {"min": 0, "max": 1}
    return {
        "id": number,
        "type": "timeseries",
        "title": one.name,
        "description": one.help,
        "datasource": _DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS,
        "targets": list(_targets(one)),
    }


def _targets(one: Metric) -> Iterator[dict[str, Any]]:
    labels = ("host", *(("service",) if one.source.is_of_services else ()), *one.labels)
    legend = " ".join(f"{{{{{name}}}}}" for name in labels)
    if one.kind is not Kind.DISTRIBUTION:
        yield _target("A", expression(one, _WINDOW, _SELECTOR), legend)
        return
    name = exposed_name(one)
    for reference, share in (("A", 0.5), ("B", 0.95), ("C", 0.99)):
        query = f'{name}{{{_SELECTOR},quantile="{share:g}"}}'
        yield _target(reference, query, f"{legend} {{{{endpoint}}}} p{share * 100:g}")


def _target(reference: str, query: str, legend: str) -> dict[str, Any]:
    return {"refId": reference, "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}


def _steps(one: Metric, thresholds: Thresholds) -> list[dict[str, Any]]:
    """Colours from the lowest value on; with a lower bound the lowest values are the bad ones."""
    limits = [(thresholds.warning, _ORANGE), (thresholds.critical, _RED)]
    known = [(in_base_units(one, limit), colour) for limit, colour in limits if limit is not None]
    if thresholds.bound is Bound.UPPER:
        return [{"color": _GREEN, "value": None},
                *({"color": colour, "value": limit} for limit, colour in known)]  # fmt: skip
    if not known:
        return [{"color": _GREEN, "value": None}]
    rising = sorted(known)
    colours = [colour for _, colour in rising]
    ends = [limit + _TRACE for limit, _ in rising]  # the threshold itself is bad, too
    return [
        {"color": colour, "value": start}
        for colour, start in zip([*colours, _GREEN], [None, *ends], strict=True)
    ]
