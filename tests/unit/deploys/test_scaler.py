"""The scaler runs on monitors, is restarted for little, and may do only what it must (C10)."""

import json
from dataclasses import replace
from pathlib import Path

from deploys.components import scaler
from deploys.engine.resources import ConfigSet
from stellwerk.metrics.monitor.sources import SCALER_FIGURES
from stellwerk.scaling.scaler.figures import FIGURES
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of, with_secret


def test_it_runs_where_the_inventory_has_a_monitor(cluster: Cluster) -> None:
    names = [one.name for one in scaler.configs(cluster, host_of(cluster, "monitors"), "1")]
    assert names == ["scaler-user", "scaler"]
    assert scaler.configs(cluster, host_of(cluster, "balancers"), "1") == ()
    assert scaler.checks(cluster, host_of(cluster, "balancers")) == ()


def test_without_somebody_to_follow_it_there_is_none(cluster: Cluster) -> None:
    alone = replace(cluster, groups={**cluster.groups, "apps": ()})
    assert not scaler.runs_on(alone, host_of(cluster, "monitors"))


def test_another_policy_restarts_nothing(load: Load, cluster: Cluster) -> None:
    edited = load({"scaling.check_interval_seconds": "30"})
    configs = [scaler.configs(one, host_of(one, "monitors"), "1")[-1] for one in (cluster, edited)]
    assert configs[0].files == configs[1].files


def test_another_release_restarts_it(cluster: Cluster) -> None:
    host = host_of(cluster, "monitors")
    one, other = (scaler.configs(cluster, host, release)[-1] for release in ("1", "2"))
    assert one.files != other.files
    assert one.activation.how == "restart"


def test_a_dashboard_of_the_scaler_alone_is_there_where_it_is_asked_for(load: Load) -> None:
    asked = load({"scaling.export.grafana.enabled": "true"})
    (*_, last) = scaler.configs(asked, host_of(asked, "monitors"), "1")
    (file,) = last.files
    shown = json.loads(file.content)
    assert shown["title"] == "auto-scaling-dashboard"
    assert [one["title"] for one in shown["panels"] if one["type"] == "row"] == ["auto_scaling"]
    assert "stellwerk_auto_scaling_decisions_total" in file.content


def unit_of(cluster: Cluster) -> ConfigSet:
    return scaler.configs(cluster, host_of(cluster, "monitors"), "1")[-1]


def test_the_monitor_looks_where_the_scaler_leaves_its_figures(cluster: Cluster) -> None:
    assert f"RuntimeDirectory={scaler.USER}\n" in unit_of(cluster).files[0].content
    assert Path("/run") / scaler.USER / FIGURES == SCALER_FIGURES


def test_it_is_handed_the_ledgers_password_and_what_its_receivers_were_given(
    folder: Path, tmp_path: Path, cluster: Cluster
) -> None:
    webhook = "https://hooks.example.org/1"
    path = ("monitoring", "receivers", "slack", "webhook_url")
    told = with_secret(folder, tmp_path, path, webhook)
    handed = [
        {file.path: file.content for file in unit_of(one).files if "/credentials/" in file.path}
        for one in (cluster, told)
    ]
    folder_of_all = "/etc/stellwerk/credentials"
    assert handed[0].keys() == {f"{folder_of_all}/postgresql.ledger"}
    assert handed[1] == handed[0] | {f"{folder_of_all}/{'.'.join(path)}": webhook}
    loaded = f"LoadCredential={'.'.join(path)}:{folder_of_all}/{'.'.join(path)}"
    assert [loaded in unit_of(one).files[0].content for one in (cluster, told)] == [False, True]
    assert {file.mode for file in unit_of(told).files if file.path in handed[1]} == {0o600}


def test_the_numbers_of_enabled_policies_are_the_scalers(load: Load, cluster: Cluster) -> None:
    assert "aktienanalyse-core" in scaler.scaled(cluster)
    off = load({"scaling.services.aktienanalyse-core.enabled": "false"})
    assert "aktienanalyse-core" not in scaler.scaled(off)
    unwatched = replace(cluster, groups={**cluster.groups, "monitors": ()})
    assert scaler.scaled(unwatched) == ()
