"""The event store's units: on the database's host, run again for a new migration."""

from pathlib import Path

from deploys.components import event_store
from deploys.engine.resources import ConfigSet
from stellwerk.eventstore.migrations import LATEST
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of

VIEW = "database.views.mv_portfolio_performance_summary"


def configs(cluster: Cluster) -> dict[str, ConfigSet]:
    return {one.name: one for one in event_store.configs(host_of(cluster, "databases"))}


def text(config: ConfigSet, name: str) -> str:
    (file,) = (file for file in config.files if Path(file.path).name == name)
    return file.content


def test_it_is_for_the_hosts_in_databases_only(cluster: Cluster) -> None:
    assert event_store.configs(host_of(cluster, "apps")) == ()
    assert list(configs(cluster)) == ["event-store", "views"]


def test_a_run_waits_for_the_schema_and_a_new_migration_runs_it_again(cluster: Cluster) -> None:
    config = configs(cluster)["event-store"]
    (command,) = config.activation.commands
    assert command == ("systemctl", "start", "--wait", "stellwerk-event-store.service")
    assert f"version {LATEST}." in text(config, "stellwerk-event-store.service")


def test_a_run_does_not_wait_for_indexes_which_the_timer_starts(cluster: Cluster) -> None:
    config = configs(cluster)["event-store"]
    assert "database schema --tables\n" in text(config, "stellwerk-event-store.service")
    assert "database schema\n" in text(config, "stellwerk-indexes.service")
    assert config.activation.unit == "stellwerk-indexes.timer"
    assert "OnActiveSec=1\n" in text(config, "stellwerk-indexes.timer")


def test_the_timer_goes_by_the_shortest_interval_and_a_run_may_take_all_timeouts(
    load: Load,
) -> None:
    found = load(
        {
            f"{VIEW}.refresh_interval_seconds": "120",
            "database.views.another.refresh_interval_seconds": "3600",
            "database.views.another.refresh_timeout_seconds": "600",
        }
    )
    config = configs(found)["views"]
    assert "OnUnitActiveSec=120\n" in text(config, "stellwerk-views.timer")
    assert "TimeoutStartSec=660\n" in text(config, "stellwerk-views.service")


def test_without_views_there_is_no_timer_for_them(load: Load) -> None:
    assert list(configs(load({VIEW: None}))) == ["event-store"]
