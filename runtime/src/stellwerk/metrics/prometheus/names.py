"""What metrics are called in Prometheus, and expressions of their values. Pure.

https://prometheus.io/docs/practices/naming
"""

from typing import Final

from stellwerk.metrics.model import Kind, Metric

PREFIX: Final = "stellwerk"
_NO_GAUGES: Final = frozenset({"total", "count", "sum", "bucket", "info"})
_DIGITS: Final = 10


def exposed_name(metric: Metric) -> str:
    """The name of a metric: of a counter its total, always in base units.

    Services call their own numbers as they like: an ending that Prometheus reserves is covered.
    """
    stem = metric.name
    if metric.unit.suffix:
        stem = stem.removesuffix(metric.unit.suffix).rstrip("_")
    parts = [part for part in (PREFIX, metric.source.value, stem, metric.unit.base) if part]
    if metric.kind is Kind.COUNTER:
        parts.append("total")
    elif parts[-1].rpartition("_")[2] in _NO_GAUGES:
        parts.append("value")
    return "_".join(parts)


def expression(metric: Metric, window: str, selector: str = "") -> str:
    """The value of a gauge or counter in base units, of a counter per second over a window.

    + selector: matchers, such as 'host="db-1"'
    """
    series = f"{exposed_name(metric)}{{{selector}}}" if selector else exposed_name(metric)
    return f"rate({series}[{window}])" if metric.kind is Kind.COUNTER else series


def in_base_units(metric: Metric, value: float) -> float:
    """A value in the metric's unit as it is exposed: 0.7, where 70 × 0.01 is a trace more."""
    return round(value * metric.unit.factor, _DIGITS)
