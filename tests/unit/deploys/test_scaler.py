"""The scaler runs on monitors, is restarted for little, and may do only what it must (C10)."""

from dataclasses import replace

from deploys.components import scaler
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of


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


def test_the_numbers_of_enabled_policies_are_the_scalers(load: Load, cluster: Cluster) -> None:
    assert "aktienanalyse-core" in scaler.scaled(cluster)
    off = load({"scaling.services.aktienanalyse-core.enabled": "false"})
    assert "aktienanalyse-core" not in scaler.scaled(off)
    unwatched = replace(cluster, groups={**cluster.groups, "monitors": ()})
    assert scaler.scaled(unwatched) == ()
