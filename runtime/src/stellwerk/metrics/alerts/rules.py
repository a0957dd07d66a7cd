"""Which series are judged, and how long a value has to last before it counts. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellwerk.metrics.model import Metric, Series, Thresholds
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.units import Unit

if TYPE_CHECKING:
    from stellwerk.settings.monitoring import Alerts


@dataclass(frozen=True, slots=True)
class Rule:
    """How the values of a series become an alert. Times are in seconds."""

    thresholds: Thresholds
    lasts: float
    """A status has to last so long before it is believed;"""
    recovery: float
    """and so long it has to be gone before that is believed."""


class Rules:
    """The rules of a host's series. Answers are kept: settings do not change meanwhile."""

    def __init__(self, registry: Registry, settings: "Alerts") -> None:
        self._registry = registry
        self._settings = settings
        self._known: dict[str, Rule | None] = {}

    def judged(
        self, values: Iterable[tuple[Series, float]]
    ) -> Iterator[tuple[Series, float, Rule]]:
        """The values of series that are judged, each with its rule. Most series are not."""
        known = self._known
        for series, value in values:
            key = series.key
            rule = known[key] if key in known else self._begin(series)
            if rule is not None:
                yield series, value, rule

    def _begin(self, series: Series) -> Rule | None:
        rule = self._known[series.key] = self._rule(series)
        return rule

    def _rule(self, series: Series) -> Rule | None:
        thresholds = self._registry.thresholds(series)
        if not thresholds.judges or series.metric.key in self._settings.disabled:
            return None
        return Rule(
            thresholds,
            lasting_seconds(series.metric, self._settings, self._registry),
            self._settings.recovery_seconds,
        )


def lasting_seconds(metric: Metric, settings: "Alerts", registry: Registry) -> float:
    """How long a value of the metric has to be beyond a threshold."""
    stated = settings.lasting_seconds.get(metric.key, registry.lasting_seconds(metric))
    if stated is not None:
        return stated
    # What is down is not down a little: waiting longer makes nothing surer.
    return settings.down_seconds if metric.unit is Unit.FLAG else settings.for_seconds
