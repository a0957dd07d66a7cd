"""Claims about the configurations of Prometheus and Alertmanager."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.metrics.prometheus import scrape
from stellwerk.metrics.prometheus.rules import document
from stellwerk.metrics.registry import METRICS
from stellwerk.settings.root import Settings
from tests.unit.metrics.alerts.examples import settings
from tests.unit.metrics.prometheus.checkers import Checker, written

TARGETS = [
    scrape.Target("mon-1", "10.0.0.1", 8004),
    scrape.Target("db-1", "10.0.0.2", 8004),
    scrape.Target("db-2", "fd00::2", 8004),
]
PROMETHEUS = scrape.prometheus(TARGETS, Settings(), host="mon-1")
ENCRYPTED = scrape.prometheus(TARGETS, Settings(), host="mon-1", authority="/etc/ca.pem")


def _job(configuration: dict[str, Any] = PROMETHEUS) -> dict[str, Any]:
    (job,) = configuration["scrape_configs"]
    assert isinstance(job, dict)
    return job


def test_every_host_is_scraped_by_its_name() -> None:
    found = {one["labels"]["host"]: one["targets"] for one in _job()["static_configs"]}
    assert found == {
        "mon-1": ["127.0.0.1:8004"],
        "db-1": ["10.0.0.2:8004"],
        "db-2": ["[fd00::2]:8004"],
    }


def test_it_looks_as_often_as_there_are_new_values() -> None:
    slow = scrape.prometheus(TARGETS, settings({"interval_seconds": 30}), host="mon-1")
    assert (PROMETHEUS["global"]["scrape_interval"], slow["global"]["scrape_interval"]) == (
        "15s",
        "30s",
    )


def test_the_token_is_in_a_file_of_its_own() -> None:
    secret = settings({"token": "a-secret-of-monitors"})
    configuration = scrape.prometheus(TARGETS, secret, host="mon-1")
    assert "a-secret-of-monitors" not in json.dumps(configuration)
    assert _job(configuration)["authorization"] == {"credentials_file": scrape.TOKEN_FILE}


def test_other_hosts_are_asked_over_tls_where_there_is_tls() -> None:
    job = _job(ENCRYPTED)
    schemes = {
        one["labels"]["host"]: one["labels"].get("__scheme__") for one in job["static_configs"]
    }
    assert schemes == {"mon-1": None, "db-1": "https", "db-2": "https"}
    assert job["tls_config"] == {"ca_file": "/etc/ca.pem"}
    assert "tls_config" not in _job()


def test_only_the_warning_of_the_same_series_is_left_out() -> None:
    (rule,) = scrape.alertmanager()["inhibit_rules"]
    labels = {name for one in METRICS for name in (*one.labels, *one.optional_labels)}
    assert {"alertname", "host", "service", "mountpoint", "backend"} < {*rule["equal"]}
    assert labels < {*rule["equal"]}


def test_no_yaml_of_ours_has_references() -> None:
    """Which people do not expect, and other readers do not all know."""
    assert "&id" not in yaml.safe_dump([PROMETHEUS, scrape.alertmanager()])


@pytest.mark.programs
@pytest.mark.parametrize("found", [PROMETHEUS, ENCRYPTED], ids=["plain", "encrypted"])
def test_promtool_takes_the_scrape_configuration(
    promtool: Checker, tmp_path: Path, found: dict[str, Any]
) -> None:
    (tmp_path / scrape.TOKEN_FILE).write_text("token")
    written(tmp_path / scrape.RULES_FILE, document({"mon-1": Settings()}))
    promtool.passes("check", "config", written(tmp_path / "prometheus.yml", found))


@pytest.mark.programs
def test_amtool_takes_the_configuration_of_alertmanager(amtool: Checker, tmp_path: Path) -> None:
    path = written(tmp_path / "alertmanager.yml", dict(scrape.alertmanager()))
    assert "1 receivers" in amtool.passes("check-config", path)


@pytest.mark.programs
def test_an_alert_ends_up_with_nobody_but_in_the_list(amtool: Checker, tmp_path: Path) -> None:
    path = written(tmp_path / "alertmanager.yml", dict(scrape.alertmanager()))
    routed = amtool.passes("config", "routes", "test", f"--config.file={path}", "severity=critical")
    assert routed.split()[0] == "nobody"
