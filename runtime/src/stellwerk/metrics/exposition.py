"""What the monitor knows now, in Prometheus' text format. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from stellwerk.metrics.declarations.monitor import STATE
from stellwerk.metrics.model import Kind, Metric, Series
from stellwerk.metrics.prometheus.names import exposed_name
from stellwerk.metrics.reading import Reading, State
from stellwerk.metrics.registry import QUANTILES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TYPES: Final = {
    Kind.GAUGE: "gauge",
    Kind.COUNTER: "counter",
    Kind.DISTRIBUTION: "summary",
}
_SERVICE: Final = "service"
_NOT_IN_LABELS: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Total:
    """All that was ever observed of a distribution."""

    series: Series
    count: int
    seconds: float


class Exposition:
    """Writes pages. What a line begins with is kept from page to page: to make it costs most."""

    def __init__(self) -> None:
        self._heads: dict[str, str] = {}
        self._states: dict[tuple[str, str], list[tuple[State, str]]] = {}

    def page(self, readings: Iterable[Reading], totals: Iterable[Total]) -> str:
        """All samples of readings in base units, counters as totals; percentiles of what was
        observed last; and the state of every subject. What is not known is not there.
        """
        heads, self._heads = self._heads, {}
        states, self._states = self._states, {}
        families = _Families()
        for reading in readings:
            for series, value in reading.samples:
                key = series.key
                head = self._heads[key] = heads.get(key) or _head(series)
                if math.isfinite(value):
                    families.add(series.metric, head, _number(series.metric, value))
            for series, durations in reading.observed:
                for share in QUANTILES:
                    seconds = durations.quantile(share)
                    if seconds is not None:
                        head = _head(series, quantile=f"{share:g}")
                        families.add(series.metric, head, repr(seconds))
            subject = (reading.source.value, reading.subject)
            self._states[subject] = states.get(subject) or _states(*subject)
            for state, head in self._states[subject]:
                families.add(STATE, head, "1" if state is reading.state else "0")
        for one in totals:
            families.add(one.series.metric, _head(one.series, "_sum"), repr(one.seconds))
            families.add(one.series.metric, _head(one.series, "_count"), str(one.count))
        return "".join(families.lines())


class _Families:
    """Lines by the metric's name, as all lines of a name have to stand together."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._lines: dict[str, dict[str, str]] = {}
        self._by_key: dict[str, dict[str, str]] = {}

    def add(self, metric: Metric, head: str, value: str) -> None:
        """Add a line. Of two that begin alike, such as a service's own numbers `lag_ms` and
        `lag_seconds`, the first stays: Prometheus takes no page with both.
        """
        lines = self._by_key.get(metric.key)
        if lines is None:
            name = exposed_name(metric)
            self._metrics.setdefault(name, metric)
            lines = self._by_key[metric.key] = self._lines.setdefault(name, {})
        lines.setdefault(head, value)

    def lines(self) -> Iterator[str]:
        """The page, each line with its end."""
        for name, lines in self._lines.items():
            metric = self._metrics[name]
            yield f"# HELP {name} {metric.help}\n# TYPE {name} {_TYPES[metric.kind]}\n"
            for head, value in lines.items():
                yield f"{head}{value}\n"


def _states(source: str, subject: str) -> list[tuple[State, str]]:
    """What the lines of a subject begin with, one for each state."""
    return [
        (state, _head(STATE.series(source=source, subject=subject, state=state.value)))
        for state in State
    ]


def _head(series: Series, suffix: str = "", **labels: str) -> str:
    """All of a line but its value."""
    pairs = ((_SERVICE, series.service), *series.labels, *labels.items())
    written = ",".join(f'{name}="{value.translate(_NOT_IN_LABELS)}"' for name, value in pairs)
    return f"{exposed_name(series.metric)}{suffix}{{{written}}} "


def _number(metric: Metric, value: float) -> str:
    # A counter's total is in base units already. Without the digits that multiplying has brought.
    return f"{value * metric.unit.factor:.15g}" if metric.kind is Kind.GAUGE else repr(value)
