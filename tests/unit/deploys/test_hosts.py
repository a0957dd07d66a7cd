"""What every host gets, and what stands in the way of a deploy."""

from dataclasses import replace
from typing import Any

import pytest

from deploys.components import base, checks, credentials, packages
from deploys.components.declaration import EMPTY
from deploys.engine.preflight import problems_of, warnings_of
from deploys.engine.resources import ConfigSet
from stellwerk.instances.model import Instance, InstanceKey, Snapshot, State
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of

GIGABYTE = 1024**3


def facts(**changed: Any) -> dict[str, Any]:
    system = {
        "id": "debian",
        "version": "12",
        "memory_bytes": 8 * GIGABYTE,
        "cpus": 4,
        "disk_free_bytes": {"/": 50 * GIGABYTE},
        "apt_locked": False,
        **changed,
    }
    return {"system": system}


def problems(cluster: Cluster, **changed: Any) -> list[str]:
    return problems_of(cluster, host_of(cluster, "apps"), facts(**changed))


def test_a_fit_host_has_no_problem(cluster: Cluster, single: Cluster) -> None:
    assert problems(cluster) == []
    assert problems(single) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": "11"}, "runs debian 11; Stellwerk needs Debian 12 or 13"),
        ({"id": "ubuntu", "version": "12"}, "runs ubuntu 12; Stellwerk needs Debian 12 or 13"),
        ({"disk_free_bytes": {"/var": 0}}, "/var has 0 MB free, less than the 1024 MB"),
        ({"memory_bytes": GIGABYTE}, "has 1024 MB of memory, but its settings need"),
    ],
)
def test_what_stands_in_the_way_is_one_sentence_that_names_the_host(
    cluster: Cluster, changed: dict[str, Any], said: str
) -> None:
    (problem,) = problems(cluster, **changed)
    assert problem.startswith(f"app-1: {said}")
    assert "\n" not in problem


def test_several_problems_are_all_said(cluster: Cluster) -> None:
    assert len(problems(cluster, version="11", disk_free_bytes={"/": 0}, memory_bytes=1)) == 3


def test_no_file_on_any_host_holds_a_secret_that_others_than_its_owner_can_read(
    cluster: Cluster,
) -> None:
    for declared in cluster.hosts.values():
        secrets = set(credentials.wanted(declared).values())
        found: tuple[ConfigSet, ...] = (
            *base.configs(cluster, declared),
            credentials.config(declared),
            *credentials.passwords(declared, credentials.REDIS),
            *credentials.passwords(declared, credentials.SENTINEL),
        )
        for file in (file for config in found for file in config.files):
            if any(secret in file.content for secret in secrets):
                assert file.mode & 0o077 == 0, file.path


def test_a_host_has_only_the_credentials_its_groups_need(cluster: Cluster) -> None:
    assert set(credentials.wanted(host_of(cluster, "balancers"))) == {
        "monitoring.token",
        "postgresql.agent",
    }
    assert set(credentials.wanted(host_of(cluster, "databases"))) == {
        "monitoring.token",
        "sentinel.password",
        "postgresql.monitor",
        "postgresql.owner",
        "postgresql.ledger",
    }
    apps = credentials.wanted(host_of(cluster, "apps"))
    assert "postgresql.agent" in apps
    assert apps.keys().isdisjoint({"redis.admin", "postgresql.owner", "postgresql.ledger"})


def test_packages_are_those_of_the_hosts_groups(cluster: Cluster, single: Cluster) -> None:
    assert "haproxy" in packages.wanted(host_of(cluster, "balancers"), facts())
    assert "haproxy" not in packages.wanted(host_of(cluster, "apps"), facts())
    assert "polkitd" in packages.wanted(host_of(cluster, "apps"), facts())
    assert "polkitd" not in packages.wanted(host_of(cluster, "caches"), facts())
    assert {"haproxy", "nginx-light", "redis-server", "postgresql-15"} < set(
        packages.wanted(host_of(single, "apps"), facts())
    )


def kernel(cluster: Cluster, group: str) -> str:
    declared = host_of(cluster, group)
    return base.kernel(declared.settings, declared.groups).files[0].content


def test_overcommit_follows_redis_unless_it_is_set(cluster: Cluster, load: Load) -> None:
    row = "vm.overcommit_memory = {}".format
    assert row(1) in kernel(cluster, "caches")
    assert "overcommit" not in kernel(cluster, "apps")
    assert row(2) in kernel(load({"base.overcommit_memory": "2"}), "caches")


def test_a_host_with_redis_and_postgresql_is_warned_of_until_somebody_has_chosen(
    cluster: Cluster, single: Cluster, load: Load
) -> None:
    (warning,) = warnings_of(single, {"one": facts()})
    assert warning.startswith("one has Redis and PostgreSQL: vm.overcommit_memory is 1")
    chosen = load({"base.overcommit_memory": "1"}, inventory="single")
    assert warnings_of(chosen, {"one": facts()}) == []
    assert warnings_of(cluster, {name: facts() for name in cluster.hosts}) == []


def test_cache_hosts_of_different_releases_are_warned_of(cluster: Cluster) -> None:
    found = {"cache-1": facts(), "cache-2": facts(version="13")}
    (warning,) = warnings_of(cluster, found)
    assert "cache-1 Debian 12, cache-2 Debian 13" in warning


def running_on(host: str) -> Snapshot:
    """A ledger with an instance that is ready, one that has failed and one that leaves."""
    states = {8101: State.READY, 8102: State.FAILED, 8103: State.DRAINING}
    rows = (
        Instance(InstanceKey("aktienanalyse-core", port), host, "10.0.0.1", "a", 1, state, EMPTY.at)
        for port, state in states.items()
    )
    return replace(EMPTY, instances={one.key: one for one in rows})


def test_every_unit_and_service_of_a_host_is_verified(cluster: Cluster, single: Cluster) -> None:
    def verified(found: Cluster, group: str) -> set[str]:
        declared = host_of(found, group)
        wanted = checks.wanted(
            found,
            declared,
            facts(),
            running_on(declared.name),
            reachable={"cache-1", "cache-2", "db-1", "one"},
        )
        return {str(check.get("unit", "")) for check in wanted}

    assert verified(cluster, "caches") == {
        "redis-server@6379.service",
        "redis-sentinel@26379.service",
        "stellwerk-monitor.service",
    }
    assert verified(cluster, "balancers") == {
        "haproxy.service",
        "nginx.service",
        "stellwerk-agent.service",
        "stellwerk-monitor.service",
    }
    assert verified(cluster, "apps") == {
        "stellwerk-agent.service",
        "stellwerk-monitor.service",
        "aktienanalyse-core@8101.service",
        "aktienanalyse-core@8102.service",
    }
    assert verified(single, "apps") >= {
        "redis-server@6380.service",
        "postgresql@15-main.service",
        "nginx.service",
        "aktienanalyse-core@8102.service",
    }


def test_instances_of_another_host_are_not_verified_here(cluster: Cluster) -> None:
    found = checks.instances(host_of(cluster, "apps"), running_on("app-2"))
    assert list(found) == []


def asked(cluster: Cluster, host: str, present: dict[str, str]) -> list[str]:
    """The URLs that a host has to get an answer from before health is asked elsewhere."""
    found = {**facts(), "health_paths": present}
    checked = checks.new_health_paths(cluster.hosts[host], found, running_on("app-1"))
    return [str(check["url"]) for check in checked]


def test_instances_that_serve_are_asked_at_a_new_health_path_by_their_host_and_balancers(
    cluster: Cluster,
) -> None:
    before = {"aktienanalyse-core": "/before", "aktienanalyse-events": "/health"}
    assert asked(cluster, "app-1", before) == ["http://127.0.0.1:8101/health"]
    assert asked(cluster, "app-2", before) == []
    assert asked(cluster, "lb-1", before) == ["http://10.0.0.1:8101/health"]


def test_nobody_is_asked_where_the_health_path_stays_or_none_was_known(cluster: Cluster) -> None:
    assert asked(cluster, "app-1", {"aktienanalyse-core": "/health"}) == []
    assert asked(cluster, "lb-1", {}) == []
