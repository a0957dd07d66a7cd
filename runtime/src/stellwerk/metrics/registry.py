"""All metrics there are, and what the settings say about each: thresholds and baselines. Pure."""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from stellwerk.metrics.declarations import (
    auto_scaling,
    cache,
    haproxy,
    monitor,
    nginx,
    postgresql,
    redis,
    sentinel,
    service,
    system,
    unit,
)
from stellwerk.metrics.model import (
    NO_THRESHOLDS,
    BaselineOf,
    Bound,
    Metric,
    Series,
    Source,
    Thresholds,
    parts_of_key,
)

if TYPE_CHECKING:  # the monitor has them without the library that validates them
    from stellwerk.settings.baselines import Figure, Measure
    from stellwerk.settings.caching import AlertRule
    from stellwerk.settings.model import Threshold
    from stellwerk.settings.root import Settings

METRICS: Final[tuple[Metric, ...]] = (
    *system.METRICS,
    *unit.METRICS,
    *service.METRICS,
    *haproxy.METRICS,
    *nginx.METRICS,
    *postgresql.METRICS,
    *redis.METRICS,
    *sentinel.METRICS,
    *auto_scaling.METRICS,
    *cache.METRICS,
    *monitor.METRICS,
)
"""Every declared metric. The numbers of services come in addition, see `metric`."""

_BY_KEY: Final = {one.key: one for one in METRICS}


@lru_cache(maxsize=4096)
def metric(key: str) -> Metric:
    """The metric of a key, such as "redis.hit_rate_percent" or "own.queue_lag_ms".

    LookupError where none is declared: a history may hold metrics of another release.
    """
    source, _, name = key.partition(".")
    if source == Source.OWN and name:
        return service.own(name)
    try:
        return _BY_KEY[key]
    except KeyError:
        raise LookupError(f"{key}: no such metric") from None


def series_by_key(key: str) -> Series:
    """The series of a key, as it stands in a history. LookupError as of `metric`."""
    name, service, labels = parts_of_key(key)
    return Series(metric(name), service, labels)


_SEVERE: Final = frozenset({"high", "critical"})
"""Severities of the settings that are critical here; the others are warnings."""

QUANTILES: Final = {0.5: "p50", 0.95: "p95", 0.99: "p99"}
"""The percentiles of distributions that are looked at, and the baselines' names for them."""


class Registry:
    """What the settings say about series. Answers are kept: settings do not change meanwhile."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._known: dict[str, Thresholds] = {}

    @property
    def deviation_percent(self) -> float:
        """A latest value further off its baseline is pointed out."""
        return self._settings.monitoring.reports.deviation_percent

    def is_exposed(self, source: Source) -> bool:
        """Whether Prometheus is told of a source: of the scaler where the settings want it."""
        return source is not Source.AUTO_SCALING or self._settings.scaling.export.prometheus.enabled

    def thresholds(self, series: Series) -> Thresholds:
        """The thresholds and the baseline of a series; NO_THRESHOLDS where nothing is said."""
        known = self._known.get(series.key)
        if known is None:
            known = self._known[series.key] = self._thresholds(series.metric, series.service)
        return known

    def lasting_seconds(self, metric: Metric) -> float | None:
        """How long a value of a metric has to be beyond its threshold; None: as of most metrics."""
        alert = self._alert(metric)
        return None if alert is None else alert.for_seconds

    def quantiles(self, series: Series) -> dict[float, Thresholds]:
        """The baselines of a distribution by share (see QUANTILES), as far as there are such."""
        measure = self._measure(series.service, series.label("endpoint") or "")
        if measure is None:
            return {}
        baselines = {share: _figure(measure, (name,)) for share, name in QUANTILES.items()}
        return {
            share: Thresholds(baseline, bound=_bad_side(measure))
            for share, baseline in baselines.items()
            if baseline is not None
        }

    def endpoints(self, service: str) -> list[str]:
        """The endpoints of a service that have baselines, each as "METHOD /path"."""
        return [name for name in self._settings.baselines.measures.get(service, {}) if " /" in name]

    def _thresholds(self, metric: Metric, service: str) -> Thresholds:
        if (alert := self._alert(metric)) is not None:
            return _limits(alert)
        stated = self._stated(metric)
        usual = self._usual(metric.baseline, service) if metric.baseline else NO_THRESHOLDS
        if stated is None:
            return usual
        return Thresholds(
            # The baseline of this service says more than that of all of them.
            stated.baseline if usual.baseline is None else usual.baseline,
            stated.warning,
            stated.critical,
            Bound(stated.bound),
        )

    def _usual(self, baseline: BaselineOf, service: str) -> Thresholds:
        measure = self._measure(baseline.source or service, baseline.measure)
        figure = _figure(measure, baseline.statistics) if measure else None
        if measure is None or figure is None:
            return NO_THRESHOLDS
        return Thresholds(figure, bound=_bad_side(measure))

    def _alert(self, metric: Metric) -> "AlertRule | None":
        """What `caching.alerts` says of a metric; of any other `monitoring` has the thresholds."""
        others = self._settings.monitoring.thresholds.others
        if metric.source is not Source.CACHE or metric.key in others:
            return None
        found: AlertRule | None
        found = getattr(self._settings.caching.alerts, metric.name, None)
        return found

    def _stated(self, metric: Metric) -> "Threshold | None":
        monitoring = self._settings.monitoring.thresholds
        if metric.key in monitoring.others:
            return monitoring.others[metric.key]
        if metric.key == redis.MEMORY_USE.key:
            return self._settings.redis.memory_use_percent
        if metric.name == service.AVAILABILITY.name:
            return monitoring.service.availability
        stated: Threshold | None
        stated = getattr(getattr(monitoring, metric.source, None), metric.name, None)
        return stated

    def _measure(self, source: str, name: str) -> "Measure | None":
        return self._settings.baselines.measures.get(source, {}).get(name)


def _limits(alert: "AlertRule") -> Thresholds:
    is_critical = alert.severity in _SEVERE
    return Thresholds(
        warning=None if is_critical else alert.limit,
        critical=alert.limit if is_critical else None,
        bound=Bound(alert.bound),
    )


def _figure(measure: "Measure", statistics: tuple[str, ...]) -> float | None:
    """What is aimed at, by the first statistic that is given; what was measured if nothing is."""
    for statistic in statistics:
        figure: Figure | None = getattr(measure, statistic)
        if figure is not None:
            return figure.current if figure.target is None else figure.target
    return None


def _bad_side(measure: "Measure") -> Bound:
    return Bound.UPPER if measure.better == "lower" else Bound.LOWER
