"""Prometheus' alerting rules, with the thresholds and times of our own alerts. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stellwerk.metrics.alerts.alertmanager import alert_name
from stellwerk.metrics.alerts.rules import lasting_seconds
from stellwerk.metrics.model import Bound, Kind, Metric, Source, Status, Thresholds
from stellwerk.metrics.prometheus.names import expression, in_base_units
from stellwerk.metrics.registry import METRICS, Registry, metric
from stellwerk.metrics.units import Unit
from stellwerk.settings.root import Settings

JOB: Final = "stellwerk"
"""The job of prometheus.yml that scrapes the monitors."""
_HUMANIZED: Final = {
    "ratio": "humanizePercentage",
    "seconds": "humanizeDuration",
    "bytes": "humanize1024",
}


@dataclass(frozen=True)
class Rule:
    """A rule for the hosts that have this threshold; no hosts stand for all of them."""

    metric: Metric
    status: Status
    limit: float
    """In the metric's unit."""
    bound: Bound
    lasts: int
    """In seconds."""
    recovery: int
    hosts: tuple[str, ...]
    window_seconds: int

    @property
    def expression(self) -> str:
        """What is true while the threshold is exceeded."""
        hosts = "|".join(name.replace(".", "[.]") for name in self.hosts)
        selector = f'host=~"{hosts}"' if hosts else ""
        value = expression(self.metric, f"{self.window_seconds}s", selector)
        side = ">=" if self.bound is Bound.UPPER else "<="
        return f"{value} {side} {self.base_limit:.10g}"

    @property
    def base_limit(self) -> float:
        """The threshold in base units."""
        return in_base_units(self.metric, self.limit)


def rules(settings: Mapping[str, Settings]) -> list[Rule]:
    """The rules of a cluster; `settings` are those of each host."""
    found: list[Rule] = []
    for one in _metrics(settings):
        by_limits: dict[tuple[Thresholds, int, int], list[str]] = {}
        for host, of_host in settings.items():
            alerts = of_host.monitoring.alerts
            if one.key not in alerts.disabled:
                # What is usual decides nothing.
                limits = replace(_thresholds(Registry(of_host), one), baseline=None)
                times = (int(lasting_seconds(one, alerts)), alerts.recovery_seconds)
                by_limits.setdefault((limits, *times), []).append(host)
        for (limits, lasts, recovery), hosts in by_limits.items():
            window = 4 * min(settings[host].monitoring.interval_seconds for host in hosts)
            for status, limit in (
                (Status.CRITICAL, limits.critical),
                (Status.WARNING, limits.warning),
            ):
                if limit is not None:
                    concerned = () if len(hosts) == len(settings) else tuple(hosts)
                    found.append(
                        Rule(one, status, limit, limits.bound, lasts, recovery, concerned, window)
                    )
    return found


def document(settings: Mapping[str, Settings]) -> dict[str, Any]:
    """The rules file, ready for YAML."""
    groups: dict[str, list[dict[str, Any]]] = {"monitors": [_monitor_down(settings)]}
    for rule in rules(settings):
        groups.setdefault(rule.metric.source.value, []).append(_rule_document(rule))
    return {"groups": [{"name": f"{JOB}-{name}", "rules": found} for name, found in groups.items()]}


def _metrics(settings: Mapping[str, Settings]) -> Iterator[Metric]:
    """All metrics that may have thresholds; of the services' own numbers those in the settings."""
    yield from (one for one in METRICS if one.kind is not Kind.DISTRIBUTION)
    own = f"{Source.OWN.value}."
    keys = {
        key
        for of_host in settings.values()
        for key in of_host.monitoring.thresholds.others
        if key.startswith(own)
    }
    yield from (metric(key) for key in sorted(keys))


def _thresholds(registry: Registry, one: Metric) -> Thresholds:
    return registry.thresholds(one.series(**dict.fromkeys(one.labels, "any")))


def _rule_document(rule: Rule) -> dict[str, Any]:
    humanized = _HUMANIZED.get(rule.metric.unit.base, "humanize")
    if rule.metric.kind is Kind.COUNTER and humanized == "humanizeDuration":
        humanized = "humanizePercentage"  # seconds of CPU time per second
    if rule.metric.unit is Unit.FLAG:
        humanized = "humanize"
    side = "from" if rule.bound is Bound.UPPER else "up to"
    limit = f"{rule.limit:g} {rule.metric.unit.symbol}".rstrip()
    return {
        "alert": alert_name(rule.metric.key),
        "expr": rule.expression,
        "for": f"{rule.lasts}s",
        "keep_firing_for": f"{rule.recovery}s",
        "labels": _labels(rule),
        "annotations": {
            "summary": f"{{{{ $labels.host }}}}: {_subject(rule.metric)}: {rule.metric.name} is"
            f" {{{{ $value | {humanized} }}}}, {rule.status.value} {side} {limit}",
            "description": rule.metric.help,
        },
    }


def _labels(rule: Rule) -> dict[str, str]:
    """Rules of one alert that differ in nothing but their limits are told apart by their hosts."""
    concerned = {"concerns": " ".join(rule.hosts)} if rule.hosts else {}
    return {"severity": rule.status.value, **concerned}


def _subject(one: Metric) -> str:
    """What the metric is of, by labels of the series."""
    of = "service" if one.source.is_of_services else None
    names = [name for name in (of, *one.labels) if name]
    labels = [f"{{{{ $labels.{name} }}}}" for name in names]
    return " ".join(labels if of else [one.source.value, *labels])


def _monitor_down(settings: Mapping[str, Settings]) -> dict[str, Any]:
    """What no monitor can say of itself."""
    seconds = max(one.monitoring.alerts.down_seconds for one in settings.values())
    return {
        "alert": "StellwerkMonitorDown",
        "expr": f'up{{job="{JOB}"}} == 0',
        "for": f"{seconds}s",
        "labels": {"severity": Status.CRITICAL.value},
        "annotations": {
            "summary": "{{ $labels.host }}: its monitor cannot be reached",
            "description": "The host is down, cut off, or stellwerk-monitor does not run.",
        },
    }
