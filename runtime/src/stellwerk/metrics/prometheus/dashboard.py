"""A Grafana dashboard with a row per source and a panel per metric. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stellwerk.metrics.model import Bound, Kind, Metric, Source, Thresholds
from stellwerk.metrics.prometheus.names import exposed_name, expression
from stellwerk.metrics.registry import METRICS, Registry
from stellwerk.metrics.units import Unit
from stellwerk.settings.root import Settings

_SCHEMA: Final = 37  # Grafana 9 and later read it
_COLUMNS: Final = 3
_WIDTH: Final = 24 // _COLUMNS
_HEIGHT: Final = 7
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
_GREEN, _ORANGE, _RED = "green", "orange", "red"


def dashboard(settings: Settings, title: str) -> dict[str, Any]:
    """The dashboard, ready for JSON. Data source and hosts are chosen in Grafana."""
    return {
        "title": title,
        "uid": None,
        "tags": ["stellwerk"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": f"{max(15, settings.monitoring.interval_seconds)}s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_datasources(), _hosts()]},
        "panels": list(_panels(Registry(settings))),
    }


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


def _panels(registry: Registry) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for source in Source:
        metrics = [one for one in METRICS if one.source is source]
        if not metrics:
            continue
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": source.value,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
            "panels": [],
        }
        top += 1
        for place, one in enumerate(metrics):
            number += 1
            x, row = place % _COLUMNS * _WIDTH, place // _COLUMNS
            position = {"x": x, "y": top + row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            yield _panel(registry, one, number, position)
        top += -(-len(metrics) // _COLUMNS) * _HEIGHT


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
        "options": {"legend": {"displayMode": "list"}, "tooltip": {"mode": "multi"}},
        "targets": list(_targets(one)),
    }


def _targets(one: Metric) -> Iterator[dict[str, Any]]:
    labels = ("host", *(("service",) if one.source in _OF_SERVICES else ()), *one.labels)
    legend = " ".join(f"{{{{{name}}}}}" for name in labels)
    if one.kind is not Kind.DISTRIBUTION:
        yield _target("A", expression(one, _WINDOW, _SELECTOR), legend)
        return
    name = exposed_name(one)
    for reference, share in (("A", 0.5), ("B", 0.95), ("C", 0.99)):
        query = f'{name}{{{_SELECTOR},quantile="{share:g}"}}'
        yield _target(reference, query, f"{legend} {{{{endpoint}}}} p{share * 100:g}")


_OF_SERVICES: Final = {Source.UNIT, Source.SERVICE, Source.OWN}


def _target(reference: str, query: str, legend: str) -> dict[str, Any]:
    return {"refId": reference, "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}


def _steps(one: Metric, thresholds: Thresholds) -> list[dict[str, Any]]:
    """Colours from the lowest value on; with a lower bound the lowest values are the bad ones."""
    limits = [(thresholds.warning, _ORANGE), (thresholds.critical, _RED)]
    known = [(limit * one.unit.factor, colour) for limit, colour in limits if limit is not None]
    if thresholds.bound is Bound.UPPER:
        return [{"color": _GREEN, "value": None},
                *({"color": colour, "value": limit} for limit, colour in known)]  # fmt: skip
    if not known:
        return [{"color": _GREEN, "value": None}]
    rising = sorted(known)
    colours = [colour for _, colour in rising]
    ends = [limit for limit, _ in rising]
    return [
        {"color": colour, "value": start}
        for colour, start in zip([*colours, _GREEN], [None, *ends], strict=True)
    ]
