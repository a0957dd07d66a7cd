"""Claims about the alerting rules: what they say, and what Prometheus makes of them."""

from pathlib import Path
from typing import Any

import pytest

from stellwerk.metrics.declarations import redis, system, unit
from stellwerk.metrics.model import Status
from stellwerk.metrics.prometheus.rules import Rule, document, rules
from stellwerk.metrics.registry import METRICS, Registry
from stellwerk.settings.root import Settings
from tests.unit.metrics.alerts.examples import settings
from tests.unit.metrics.prometheus.checkers import Checker, written
from tests.unit.metrics.prometheus.timelines import unit_tests

OWN = {"own.queue_lag_ms": {"warning": 500, "critical": 1000}}
FURTHER = {
    **OWN,
    "redis.evictions_per_hour": {"warning": 100},
    "unit.cpu_percent": {"warning": 80, "critical": 95},
    "postgresql.cache_hit_percent": {"warning": 90, "bound": "lower"},
}
CLUSTER = {
    "app-1": settings({"thresholds": {"others": FURTHER}}),
    "db-1.example.org": settings(
        {
            "thresholds": {"others": FURTHER, "system": {"cpu_percent": {"critical": 99}}},
            "alerts": {"for_seconds": 300, "recovery_seconds": 60, "down_seconds": 0},
        }
    ),
}
"""Counters, lower bounds, services' own numbers, and a host that differs in limits and times."""


def _only(found: list[Rule], key: str, status: Status = Status.CRITICAL) -> Rule:
    (one,) = (rule for rule in found if rule.metric.key == key and rule.status is status)
    return one


def _documents(cluster: dict[str, Settings]) -> list[dict[str, Any]]:
    return [rule for group in document(cluster)["groups"] for rule in group["rules"]]


def test_every_threshold_of_a_metric_is_a_rule() -> None:
    registry = Registry(Settings())
    expected = set()
    for one in METRICS:
        limits = registry.thresholds(one.series(**dict.fromkeys(one.labels, "any")))
        known = {Status.WARNING: limits.warning, Status.CRITICAL: limits.critical}
        expected |= {(one.key, status) for status, limit in known.items() if limit is not None}
    assert {(one.metric.key, one.status) for one in rules({"db-1": Settings()})} == expected


def test_limits_are_in_base_units_and_on_the_bad_side() -> None:
    found = rules({"app-1": CLUSTER["app-1"]})
    assert _only(found, "system.cpu_percent").expression == "stellwerk_system_cpu_ratio >= 0.95"
    assert _only(found, "redis.memory_used_mb").expression == (
        "stellwerk_redis_memory_used_bytes >= 838860800"
    )
    assert _only(found, "redis.hit_rate_percent").expression == (
        "stellwerk_redis_hit_rate_ratio <= 0.5"
    )
    assert _only(found, "unit.cpu_percent").expression == (
        "rate(stellwerk_unit_cpu_seconds_total[60s]) >= 0.95"
    )
    assert _only(found, "own.queue_lag_ms").expression == "stellwerk_own_queue_lag_seconds >= 1"


def test_what_is_down_is_said_sooner_than_what_is_much() -> None:
    found = rules({"db-1": Settings()})
    assert _only(found, redis.AVAILABILITY.key).lasts == 30
    assert _only(found, system.CPU.key).lasts == 120


def test_hosts_with_the_same_limits_and_times_share_a_rule() -> None:
    same = {"app-1": Settings(), "app-2": Settings()}
    assert all(one.hosts == () for one in rules(same))


def test_a_host_with_limits_of_its_own_has_a_rule_of_its_own() -> None:
    found = {
        one.hosts: one.expression
        for one in rules(CLUSTER)
        if one.metric is system.CPU and one.status is Status.CRITICAL
    }
    assert found == {
        ("app-1",): 'stellwerk_system_cpu_ratio{host=~"app-1"} >= 0.95',
        ("db-1.example.org",): 'stellwerk_system_cpu_ratio{host=~"db-1[.]example[.]org"} >= 0.99',
    }


def test_a_baseline_alone_divides_no_rule() -> None:
    usual = {"system": {"cpu_percent": {"baseline": 10, "warning": 80, "critical": 95}}}
    found = rules({"app-1": Settings(), "app-2": settings({"thresholds": usual})})
    assert _only(found, system.CPU.key).hosts == ()


def test_an_alert_that_is_disabled_on_a_host_is_none_there() -> None:
    quiet = settings({"alerts": {"disabled": ["system.cpu_percent"]}})
    assert _only(rules({"a": Settings(), "b": quiet}), system.CPU.key).hosts == ("a",)
    assert not [one for one in rules({"b": quiet}) if one.metric is system.CPU]


def test_a_summary_says_of_what_it_is() -> None:
    summaries = {one["alert"]: one["annotations"]["summary"] for one in _documents(CLUSTER)}
    assert summaries["UnitCpuPercent"].startswith(
        "{{ $labels.host }}: {{ $labels.service }} {{ $labels.instance }}: cpu_percent is"
    )
    assert summaries["RedisConnectedClients"] == (
        "{{ $labels.host }}: redis {{ $labels.port }}: connected_clients is"
        " {{ $value | humanize }}, warning from 50"
    )


@pytest.mark.programs
@pytest.mark.parametrize("cluster", [{"db-1": Settings()}, CLUSTER], ids=["shipped", "differing"])
def test_promtool_finds_nothing_to_complain_of(
    promtool: Checker, tmp_path: Path, cluster: dict[str, Settings]
) -> None:
    path = written(tmp_path / "rules.yml", document(cluster))
    said = promtool.passes("check", "rules", "--lint=all", "--lint-fatal", path)
    assert f"SUCCESS: {len(_documents(cluster))} rules found" in said


@pytest.mark.programs
@pytest.mark.parametrize("cluster", [{"db-1": Settings()}, CLUSTER], ids=["shipped", "differing"])
def test_every_rule_fires_at_its_threshold_after_its_time_and_clears_after_its_recovery(
    promtool: Checker, tmp_path: Path, cluster: dict[str, Settings]
) -> None:
    written(tmp_path / "rules.yml", document(cluster))
    path = written(tmp_path / "tests.yml", unit_tests(rules(cluster), "rules.yml"))
    promtool.passes("test", "rules", path)


@pytest.mark.programs
def test_alerts_read_well(promtool: Checker, tmp_path: Path) -> None:
    written(tmp_path / "rules.yml", document({"app-1": CLUSTER["app-1"]}))
    shop = {"host": "app-1", "service": "shop", "instance": "shop@8501"}
    server = {"host": "app-1", "port": "6379"}
    monitor = {"host": "app-1", "job": "stellwerk"}
    alerts = [
        _told("UnitCpuPercent", "warning", shop, unit.CPU.help,
              "app-1: shop shop@8501: cpu_percent is 90%, warning from 80 %"),
        _told("RedisMemoryUsedMb", "warning", server, redis.MEMORY.help,
              "app-1: redis 6379: memory_used_mb is 600Mi, warning from 512 MB"),
        _told("RedisAvailability", "critical", server, redis.AVAILABILITY.help,
              "app-1: redis 6379: availability is 0, critical up to 0"),
        _told("StellwerkMonitorDown", "critical", monitor,
              "The host is down, cut off, or stellwerk-monitor does not run.",
              "app-1: its monitor cannot be reached"),
    ]  # fmt: skip
    series = [
        _series("stellwerk_unit_cpu_seconds_total", shop, "0+13.5x40"),
        _series("stellwerk_redis_memory_used_bytes", server, "629145600x40"),
        _series("stellwerk_redis_availability", server, "0x40"),
        _series("up", monitor, "0x40"),
    ]
    test = {"interval": "15s", "input_series": series, "alert_rule_test": alerts}
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [test]}
    promtool.passes("test", "rules", written(tmp_path / "tests.yml", tests))


def _told(
    name: str, severity: str, labels: dict[str, str], description: str, summary: str
) -> dict[str, Any]:
    alert = {
        "exp_labels": {**labels, "severity": severity},
        "exp_annotations": {"summary": summary, "description": description},
    }
    return {"eval_time": "10m", "alertname": name, "exp_alerts": [alert]}


def _series(name: str, labels: dict[str, str], values: str) -> dict[str, str]:
    pairs = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{pairs}}}", "values": values}
