"""The monitor is told all it reads, restarted only for that, and may do only what it must (C10)."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deploys.components import monitor, tls
from deploys.engine.resources import ConfigSet
from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.monitor import sources
from stellwerk.metrics.registry import Registry
from stellwerk.settings import schema
from stellwerk.settings.cluster import Cluster, ClusterHost, load_cluster
from stellwerk.settings.files import read_host_file
from stellwerk.settings.schema import Kind

from .conftest import REPOSITORY, Load, host_of

CORE = "aktienanalyse-core"
CERTIFICATE = tls.HostCertificate("AUTHORITY", "0", "CERTIFICATE", "KEY")


class Traced:
    """Settings that note which of their values are read, by the keys that lead to them."""

    def __init__(self, value: BaseModel, path: tuple[str, ...], read: set[tuple[str, ...]]) -> None:
        self._value, self._path, self._read = value, path, read

    def __getattr__(self, name: str) -> Any:
        return self._below(getattr(self._value, name), (*self._path, name))

    def _below(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, BaseModel):
            return Traced(value, path, self._read)
        if isinstance(value, Mapping) and value:
            return {key: self._below(one, (*path, key)) for key, one in value.items()}
        self._read.add(path)
        return value


def holds(document: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


def test_the_monitor_is_told_all_it_reads(single: Cluster, tmp_path: Path) -> None:
    declared = host_of(single, "apps")
    read: set[tuple[str, ...]] = set()
    settings: Any = Traced(declared.settings, (), read)
    member = SimpleNamespace(name="one", address="192.0.2.1", groups=declared.groups)
    host: Any = SimpleNamespace(name="one", members=(member,), settings=settings)
    Alerting("one", settings, Registry(settings), tmp_path)
    assert len(sources.collectors(host)) >= 9
    told = monitor.document(single, declared)["settings"]
    secrets = {path for path in read if (node := schema.find(path)) and node.kind is Kind.SECRET}
    assert len(read) > 30
    assert {path for path in read - secrets if not holds(told, path)} == set()


def test_the_monitor_reads_back_what_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    for declared in cluster.hosts.values():
        path = tmp_path / declared.name
        path.write_text(yaml.safe_dump(monitor.document(cluster, declared)))
        found = read_host_file(path)
        assert found.name == declared.name
        assert found.settings.monitoring.interval_seconds == 15
        assert set(found.settings.services) == set(declared.settings.services)


def test_hosts_in_monitors_know_all_and_others_no_more_than_they_need(cluster: Cluster) -> None:
    def known(group: str) -> set[str]:
        return set(monitor.document(cluster, host_of(cluster, group))["members"])

    assert known("monitors") == {one.name for one in cluster.hosts.values()}
    assert known("caches") == {"cache-1", "cache-2"}
    assert known("apps") == {"app-1"}


def test_a_further_cache_restarts_no_monitor_of_another(load: Load) -> None:
    def with_caches(number: int) -> dict[str, str]:
        caches = [(f"cache-{n}", {"address": f"192.0.2.{n}"}) for n in range(1, number + 1)]
        text = f"caches = sentinels = {caches!r}\n"
        return digests(load(inventory="caches", text=text), "caches")

    assert with_caches(4) == with_caches(3)
    assert with_caches(3) != with_caches(1)


def configuration(
    cluster: Cluster, declared: ClusterHost, certificate: tls.HostCertificate | None = None
) -> ConfigSet:
    (found,) = monitor.configs(cluster, declared, "1", certificate)
    return found


def unit_of(config: ConfigSet) -> str:
    (unit,) = (file.content for file in config.files if file.path.endswith(monitor.UNIT))
    return unit


def handed(config: ConfigSet) -> set[str]:
    return set(re.findall(r"^LoadCredential=([^:]+):", unit_of(config), re.MULTILINE))


@pytest.mark.parametrize(
    ("group", "keys"),
    [
        ("apps", set()),
        ("balancers", set()),
        ("caches", {"redis.passwords.monitor", "sentinel.password"}),
        ("databases", {"postgresql.passwords.monitor", "sentinel.password"}),
    ],
)
def test_a_monitor_is_handed_the_secrets_of_its_sources_and_no_others(
    cluster: Cluster, group: str, keys: set[str]
) -> None:
    config = configuration(cluster, host_of(cluster, group))
    assert handed(config) == {"monitoring.token", *keys}
    assert {file.mode for file in config.files if "/credentials/" in file.path} == {0o600}


def test_a_monitor_is_handed_what_its_receivers_were_given(
    folder: Path, tmp_path: Path, cluster: Cluster
) -> None:
    path = ("monitoring", "receivers", "slack", "webhook_url")
    renewed = with_secret(folder, tmp_path, path, "https://hooks.example.org/1")
    before, after = (handed(configuration(one, host_of(one, "apps"))) for one in (cluster, renewed))
    assert after - before == {".".join(path)}


def test_with_tls_a_monitor_is_handed_the_hosts_certificate(cluster: Cluster) -> None:
    declared = host_of(cluster, "apps")
    config = configuration(cluster, declared, CERTIFICATE)
    assert handed(config) == {"monitoring.token", "tls.certificate", "tls.key"}
    renewed = tls.HostCertificate("AUTHORITY", "0", "ANOTHER", "KEY")
    assert configuration(cluster, declared, renewed).digest != config.digest


def test_only_on_a_balancer_it_is_in_the_group_that_reads_logs(cluster: Cluster) -> None:
    for declared in cluster.hosts.values():
        unit = unit_of(configuration(cluster, declared))
        assert ("SupplementaryGroups=adm" in unit) == ("balancers" in declared.groups)
        assert ("PrivateUsers=no" in unit) == ("balancers" in declared.groups)


def digests(cluster: Cluster, group: str, release: str = "1") -> dict[str, str]:
    configs = monitor.configs(cluster, host_of(cluster, group), release, None)
    return {one.name: one.digest for one in configs}


@pytest.mark.parametrize(
    ("overrides", "release", "is_restarted"),
    [
        ({}, "1", False),
        ({}, "2", True),
        ({"redis.maxmemory": "512MB"}, "1", False),
        ({"postgresql.max_connections": "50"}, "1", False),
        ({"scaling.services.aktienanalyse-core.cooldown_up_seconds": "240"}, "1", False),
        ({"monitoring.prometheus.enabled": "true"}, "1", False),
        ({f"services.{CORE}.drain_timeout_seconds": "5"}, "1", False),
        ({f"services.{CORE}.health_path": "/well"}, "1", True),
        ({"monitoring.interval_seconds": "30"}, "1", True),
        ({"runtime.daemons.monitor.memory": "300MB"}, "1", True),
    ],
)
def test_the_monitor_is_restarted_only_when_something_of_its_own_changed(
    cluster: Cluster, load: Load, overrides: dict[str, str], release: str, is_restarted: bool
) -> None:
    before, after = digests(cluster, "apps"), digests(load(overrides), "apps", release)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == ({"monitor"} if is_restarted else set())


def with_secret(folder: Path, other: Path, path: tuple[str, ...], value: str) -> Cluster:
    """The shipped cluster with another secret."""
    secrets = yaml.safe_load((folder / "secrets.yaml").read_text())
    values = secrets
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value
    (other / "secrets.yaml").write_text(yaml.safe_dump(secrets))
    (other / "secrets.yaml").chmod(0o600)
    shutil.copy(folder / "inventory", other)
    return load_cluster(other / "inventory", [REPOSITORY / "group_data"])


@pytest.mark.parametrize(
    ("path", "groups"),
    [
        (("postgresql", "passwords", "monitor"), {"databases"}),
        (("postgresql", "passwords", "app"), set()),
        (("redis", "passwords", "monitor"), {"caches"}),
        (("sentinel", "password"), {"caches", "databases"}),
        (("monitoring", "token"), {"apps", "balancers", "caches", "databases"}),
    ],
)
def test_it_is_restarted_where_it_has_another_password(
    cluster: Cluster, folder: Path, tmp_path: Path, path: tuple[str, ...], groups: set[str]
) -> None:
    renewed = with_secret(folder, tmp_path, path, "another-password")
    assert {
        group
        for group in ("apps", "balancers", "caches", "databases")
        if digests(cluster, group) != digests(renewed, group)
    } == groups
