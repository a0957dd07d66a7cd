"""Prometheus and Alertmanager: where they are, what they are told, and who checks it."""

import json
from pathlib import Path

import pytest
import yaml

from deploys.components import checks, packages, prometheus, tls
from deploys.components.declaration import EMPTY
from deploys.components.removal import plan
from deploys.engine.resources import ConfigSet
from stellwerk.metrics.prometheus import scrape
from stellwerk.settings.cluster import Cluster, SettingsError
from tests.unit.metrics.prometheus.checkers import checker

from .conftest import Load, host_of

ON = {"monitoring.prometheus.enabled": "true"}
BARE = {"system": {"version": "12"}, "packages": {}}


@pytest.fixture(scope="module")
def enabled(load: Load) -> Cluster:
    """The shipped cluster with Prometheus."""
    return load(ON)


def _configs(cluster: Cluster, given: str | None = None) -> dict[str, ConfigSet]:
    found = prometheus.configs(cluster, host_of(cluster, "monitors"), given)
    return {one.name: one for one in found}


def _text(config: ConfigSet, path: str) -> str:
    (file,) = (one for one in config.files if one.path == path)
    return file.content


def test_nothing_of_it_is_anywhere_unless_it_is_asked_for(cluster: Cluster) -> None:
    for declared in cluster.hosts.values():
        assert prometheus.configs(cluster, declared, None) == ()
        assert prometheus.checks(declared) == ()
        assert not {*prometheus.PACKAGES} & {*packages.wanted(declared, BARE)}


def test_it_is_on_the_monitors_and_on_no_other_host(enabled: Cluster) -> None:
    wanted = {one.name for one in enabled.hosts.values() if prometheus.is_wanted(one)}
    assert wanted == {one.name for one in enabled.group("monitors")}


def test_all_hosts_are_scraped(enabled: Cluster) -> None:
    text = _text(_configs(enabled)["prometheus"], prometheus.CONFIGURATION)
    (job,) = yaml.safe_load(text)["scrape_configs"]
    hosts = {one["labels"]["host"]: one["targets"][0] for one in job["static_configs"]}
    own = host_of(enabled, "monitors")
    assert hosts == {
        one.name: f"{'127.0.0.1' if one is own else one.address}:8004"
        for one in enabled.hosts.values()
    }


def test_with_tls_other_hosts_show_who_they_are(load: Load) -> None:
    encrypted = _configs(load({**ON, "tls.enabled": "true"}))["prometheus"]
    assert f"ca_file: {tls.AUTHORITY}\n" in _text(encrypted, prometheus.CONFIGURATION)


def test_the_token_is_for_the_daemon_alone_and_in_no_other_file(enabled: Cluster) -> None:
    token = host_of(enabled, "monitors").settings.monitoring.token.get_secret_value()
    holding = [
        file for config in _configs(enabled).values() for file in config.files
        if token in file.content
    ]  # fmt: skip
    assert [(one.path, one.mode, one.group, one.is_secret) for one in holding] == [
        (f"{prometheus.FOLDER}/{scrape.TOKEN_FILE}", 0o640, "prometheus", True)
    ]


def test_both_listen_on_loopback_alone(load: Load) -> None:
    found = _configs(load({**ON, "monitoring.prometheus.port": "9999"}))
    command = found["prometheus-unit"].files[0].content
    assert "--web.listen-address=127.0.0.1:9999" in command
    command = found["alertmanager-unit"].files[0].content
    assert "--web.listen-address=127.0.0.1:9093" in command
    assert command.endswith("--cluster.listen-address=\n")


def test_a_changed_threshold_reloads_and_a_changed_retention_restarts(load: Load) -> None:
    before = _configs(load(ON))
    threshold = _configs(load({**ON, "monitoring.thresholds.system.cpu_percent.critical": "99"}))
    retention = _configs(load({**ON, "monitoring.prometheus.retention_days": "30"}))

    def changed(after: dict[str, ConfigSet]) -> list[str]:
        return [name for name, one in after.items() if one.digest != before[name].digest]

    assert changed(threshold) == ["prometheus", "grafana-dashboard"]
    assert before["prometheus"].activation.how == "reload"
    assert changed(retention) == ["prometheus-unit"]
    commands = before["prometheus-unit"].activation.commands
    assert ("systemctl", "try-restart", prometheus.UNIT) in commands


def test_debians_units_do_not_start_before_they_are_configured(enabled: Cluster) -> None:
    declared = host_of(enabled, "monitors")
    assert {*prometheus.UNITS} <= {*packages.masked(declared, BARE)}
    there = {"packages": dict.fromkeys(prometheus.PACKAGES, "1")}
    assert not {*prometheus.UNITS} & {*packages.masked(declared, there)}


def test_the_end_of_a_run_sees_whether_a_daemon_kept_the_old_configuration(
    enabled: Cluster,
) -> None:
    declared = host_of(enabled, "monitors")
    wanted = checks.wanted(enabled, declared, BARE, EMPTY, ())
    assert [one["metric"] for one in wanted if one["kind"] == "reloaded"] == [
        "prometheus_config_last_reload_success_timestamp_seconds",
        "alertmanager_config_last_reload_success_timestamp_seconds",
    ]


def test_a_configuration_of_ones_own_is_alertmanagers_and_nobody_else_can_read_it(
    enabled: Cluster,
) -> None:
    own = "receivers: [{name: ops}]\nroute: {receiver: ops}\n"
    (file,) = _configs(enabled, own)["alertmanager"].files
    assert (file.content, file.mode, file.group) == (own, 0o640, "prometheus")


def test_what_is_switched_off_is_taken_away_but_its_history(
    cluster: Cluster, enabled: Cluster
) -> None:
    units = {"prometheus": prometheus.UNIT, "alertmanager": prometheus.ALERTMANAGER_UNIT}
    stamps = {name: {"units": [units[name]] if name in units else []} for name in prometheus.STAMPS}
    facts = {
        "stamps": stamps,
        "units": {unit: {"ActiveState": "active"} for unit in prometheus.UNITS},
    }
    assert plan(host_of(enabled, "monitors"), facts, "").changes == ()
    (change,) = plan(host_of(cluster, "monitors"), facts, "").changes
    assert [str(one) for one in change.effects] == [
        "stop prometheus.service",
        "stop prometheus-alertmanager.service",
    ]
    assert "/var/lib/prometheus" in change.reason


def test_every_configuration_is_taken_away_with_it(enabled: Cluster) -> None:
    assert {*_configs(enabled)} == {*prometheus.STAMPS}


def test_its_ports_are_nobody_elses(load: Load) -> None:
    with pytest.raises(SettingsError, match=r"monitoring\.prometheus\.port.*would collide"):
        load({**ON, "monitoring.prometheus.port": "8004"})
    load({"monitoring.prometheus.port": "8004"})  # nothing listens there


def test_the_dashboard_is_a_file_that_grafana_can_import(enabled: Cluster) -> None:
    text = _text(_configs(enabled)["grafana-dashboard"], prometheus.DASHBOARD)
    assert json.loads(text)["title"] == "aktienanalyse-monitoring"


@pytest.mark.programs
@pytest.mark.parametrize(
    ("name", "package"),
    [("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")],
)
def test_the_daemons_own_checkers_take_what_is_installed_and_refuse_a_mistake(
    enabled: Cluster, name: str, package: str, tmp_path: Path
) -> None:
    config = _configs(enabled)[name]
    ((program, *words),) = config.check
    found = checker(package, program)
    for file in config.files:
        path = Path(f"{tmp_path}{file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    command = [word.replace("{root}", str(tmp_path)) for word in words]
    found.passes(*command)
    first = Path(f"{tmp_path}{config.files[0].path}")
    first.write_text(f"{first.read_text()}no_such_key: 1\n")
    with pytest.raises(AssertionError, match="no_such_key"):
        found.passes(*command)
