"""The tables of docs/metrics.md: every declared metric and what the shipped settings say of it.

`python -m tests.unit.metrics.metrics_page` writes them anew.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from stellwerk.metrics.model import NO_THRESHOLDS, Kind, Metric, Source
from stellwerk.metrics.prometheus.names import exposed_name
from stellwerk.metrics.registry import METRICS, Registry
from stellwerk.metrics.units import Unit
from stellwerk.settings.cluster import load_cluster
from tests.markdown import put_into, table

REPOSITORY: Final = Path(__file__).parents[3]
PAGE: Final = REPOSITORY / "docs" / "metrics.md"
TABLES: Final = "tables"
"""What they are named in the page."""

_COLUMNS: Final = (
    *("metric", "unit", "kind", "of each", "baseline", "warning", "critical", "bound"),
    *("what it is", "in Prometheus"),
)
_NOTHING: Final = ""


def tables(registry: Registry, metrics: Iterable[Metric] = METRICS) -> str:
    """A table for each source that has metrics, below its name."""
    declared = list(metrics)
    parts = []
    for source in Source:
        rows = [_row(registry, metric) for metric in declared if metric.source is source]
        if rows:
            parts.append(f"## {source.value}\n\n{table(_COLUMNS, rows)}")
    return "\n\n".join(parts)


def shipped() -> Registry:
    """What the shipped settings say; they say the same on every host."""
    folders = [REPOSITORY / "group_data"]
    cluster = load_cluster(REPOSITORY / "inventory", folders, generate_secrets=False)
    return Registry(next(iter(cluster.hosts.values())).settings)


def _row(registry: Registry, metric: Metric) -> tuple[str, ...]:
    found = registry.thresholds(metric.series(**dict.fromkeys(metric.labels, "any")))
    of_service = metric.baseline is not None and metric.baseline.source is None
    bound = found.bound.value if found != NO_THRESHOLDS else _NOTHING
    return (
        f"`{metric.name}`",
        "yes or no" if metric.unit is Unit.FLAG else metric.unit.symbol,
        metric.kind.value,
        ", ".join([*metric.labels, *(f"({name})" for name in metric.optional_labels)]),
        f"`{metric.baseline.measure}`" if metric.baseline and of_service
        else _figure(metric, found.baseline),
        _figure(metric, found.warning),
        _figure(metric, found.critical),
        bound,
        metric.help.replace("|", "\\|"),
        _exposed(metric),
    )  # fmt: skip


def _figure(metric: Metric, value: float | None) -> str:
    if value is None:
        return _NOTHING
    return ("no", "yes")[bool(value)] if metric.unit is Unit.FLAG else f"{value:g}"


def _exposed(metric: Metric) -> str:
    name = f"`{exposed_name(metric)}`"
    return f"{name}, `_count`, `_sum`" if metric.kind is Kind.DISTRIBUTION else name


if __name__ == "__main__":
    put_into(PAGE, TABLES, tables(shipped()))
