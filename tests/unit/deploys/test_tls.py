"""TLS between hosts: what daemons and services are told with it and without it, and when not."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploys.components import (
    agent,
    base,
    credentials,
    generations,
    postgresql,
    redis,
    sentinel,
    services,
    tls,
)
from deploys.components.master import Endpoint
from deploys.components.tls import HostCertificate
from deploys.engine.certificate_store import complete
from deploys.engine.certificates import Subject
from deploys.engine.preflight import problems_of
from deploys.engine.resources import ConfigSet, Facts, File, why_install
from stellwerk.settings.cluster import Cluster, ClusterHost, SettingsError

from .conftest import Load, host_of

MASTER = Endpoint("198.18.0.31", 6379)
SYSTEM = {"id": "debian", "version": "12", "memory_bytes": 2**33, "cpus": 4, "disk_free_bytes": {}}
FACTS: Facts = {"system": SYSTEM, "stamps": {}}


@pytest.fixture(scope="module")
def encrypted(load: Load) -> Cluster:
    """The shipped hosts with TLS."""
    return load({"tls.enabled": "True"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> HostCertificate:
    subject = Subject("cache-1", "198.18.0.31")
    folder = tmp_path_factory.mktemp("certificates")
    return complete(folder, [(subject, 365)], datetime.now(UTC))["cache-1"]


def everything(
    cluster: Cluster, declared: ClusterHost, certificate: HostCertificate | None
) -> tuple[ConfigSet, ...]:
    """All configurations that TLS could concern."""
    return (
        *base.configs(cluster, declared),
        credentials.config(declared),
        *tls.config(certificate),
        *redis.certificates(certificate),
        *redis.configs(cluster, declared, MASTER),
        *sentinel.certificates(declared.settings, certificate),
        *sentinel.configs(cluster, declared, MASTER),
        *postgresql.certificates(FACTS, certificate),
        postgresql.config(cluster, declared, FACTS),
        *generations.config(cluster, declared, generations.wanted(cluster, "1"), "1"),
        *agent.configs(cluster, declared, "1"),
    )


def file(configs: Iterable[ConfigSet], path: str) -> File:
    (found,) = (one for config in configs for one in config.files if one.path == path)
    return found


def rows(configs: Iterable[ConfigSet], path: str) -> list[str]:
    return file(configs, path).content.splitlines()


def test_without_tls_no_configuration_speaks_of_it(cluster: Cluster) -> None:
    for declared in cluster.hosts.values():
        for config in everything(cluster, declared, None):
            assert "tls" not in config.name
            for one in config.files:
                if one.path != "/etc/stellwerk/settings.yaml":
                    told = one.content.replace('"tls_authority": null', "")
                    assert not re.search(r"\btls|\bssl|TLS_", told), one.path


def test_redis_and_sentinel_listen_with_tls_on_their_usual_ports_and_on_no_other(
    encrypted: Cluster,
) -> None:
    declared = host_of(encrypted, "caches")
    configs = everything(encrypted, declared, None)
    for path, port, copy in (
        ("/etc/redis/redis-6379.conf", 6379, redis.TLS),
        ("/etc/redis/sentinel-26379.conf", 26379, sentinel.TLS),
    ):
        found = rows(configs, path)
        assert [row for row in found if re.match(r"(tls-)?port ", row)] == [
            "port 0",
            f"tls-port {port}",
        ]
        assert {"tls-replication yes", f"tls-key-file {copy.key}"} <= set(found)


def test_postgresql_admits_other_hosts_with_tls_only(encrypted: Cluster) -> None:
    configs = everything(encrypted, host_of(encrypted, "databases"), None)
    admitted = rows(configs, "/etc/postgresql/15/main/pg_hba.conf")
    assert {row.split()[0] for row in admitted if not row.startswith("#")} == {"local", "hostssl"}
    settings = rows(configs, "/etc/postgresql/15/main/conf.d/90-stellwerk.conf")
    assert {"ssl = on", f"ssl_key_file = '{postgresql.TLS.key}'"} <= set(settings)


def test_services_are_told_whom_to_trust_and_roll_when_it_is_switched(
    cluster: Cluster, encrypted: Cluster
) -> None:
    def environment(found: Cluster) -> str:
        return services.environment(found, host_of(found, "apps"), "aktienanalyse-core", "10.0.0.1")

    told = environment(encrypted)
    assert f'DATABASE_TLS_CA="{tls.AUTHORITY}"' in told.splitlines()
    assert f'REDIS_TLS_CA="{tls.AUTHORITY}"' in told.splitlines()
    assert told != environment(cluster)


def test_each_key_is_read_by_its_daemon_only(
    encrypted: Cluster, certificate: HostCertificate
) -> None:
    configs = everything(encrypted, host_of(encrypted, "caches"), certificate)
    keys = [one for config in configs for one in config.files if one.content == certificate.key]
    assert {(one.path, one.owner, one.mode) for one in keys} == {
        ("/etc/stellwerk/tls/host.key", "root", 0o600),
        ("/etc/redis/tls/host.key", "redis", 0o600),
        ("/etc/redis/sentinel-tls/host.key", "redis", 0o600),
        ("/etc/postgresql/tls/host.key", "postgres", 0o600),
    }


def test_a_key_is_in_no_repr(encrypted: Cluster, certificate: HostCertificate) -> None:
    configs = everything(encrypted, host_of(encrypted, "caches"), certificate)
    assert "PRIVATE KEY" not in repr(configs)


def test_a_renewed_certificate_leaves_the_daemons_own_configurations_as_they_are(
    encrypted: Cluster, certificate: HostCertificate
) -> None:
    declared = host_of(encrypted, "caches")
    renewed = HostCertificate(certificate.authority, "digest", "renewed", "key")
    before, after = (
        {config.name: config.digest for config in everything(encrypted, declared, one)}
        for one in (certificate, renewed)
    )
    assert {name for name in before if before[name] != after[name]} == {
        "tls",
        "redis-tls",
        "sentinel-tls",
        "postgresql-tls",
    }


def problems(cluster: Cluster, certificate: HostCertificate | None = None, **facts: Any) -> str:
    found = problems_of(cluster, host_of(cluster, "caches"), {**FACTS, **facts}, certificate)
    return "\n".join(found)


def test_a_bare_host_and_one_that_has_it_take_tls(
    encrypted: Cluster, certificate: HostCertificate
) -> None:
    assert problems(encrypted, certificate) == ""
    (config,) = tls.config(certificate)
    present = {
        "stamps": {"tls": {"digest": config.digest}},
        "files": {one.path: one.as_fact() for one in config.files},
        "redis": {"6379": {"tls": True}},
        "sentinel": {"26379": {"tls": True}},
    }
    assert problems(encrypted, certificate, **present) == ""
    assert why_install(config, present) == ""


def test_a_redis_without_tls_is_not_switched_to_it(encrypted: Cluster) -> None:
    said = problems(
        encrypted, redis={"6379": {"tls": False}}, sentinel={"26379": {"error": "", "tls": False}}
    )
    assert said.startswith(
        "cache-1: has Redis on port 6379 and Sentinel on port 26379 without TLS,"
    )
    assert "\n" not in said


def test_a_host_with_tls_is_not_switched_back(cluster: Cluster) -> None:
    said = problems(cluster, stamps={"tls": {"digest": ""}})
    assert (
        said
        == "cache-1: was set up with TLS, which is not taken off again; set tls.enabled to True"
    )


def test_an_authority_that_the_host_does_not_know_is_refused_and_a_renewed_one_taken(
    encrypted: Cluster, certificate: HostCertificate
) -> None:
    (config,) = tls.config(certificate)
    files = {one.path: one.as_fact() for one in config.files}
    renewed = HostCertificate("renewed", certificate.authority_key_digest, "", "")
    other = HostCertificate(certificate.authority, "another", "", "")
    assert problems(encrypted, renewed, files=files) == ""
    assert "trusts another authority" in problems(encrypted, other, files=files)


def test_hosts_that_differ_in_tls_are_refused(load: Load, folder: Path) -> None:
    inventory = folder / "differing"
    inventory.write_text(
        'caches = [("a", {"address": "192.0.2.1", "tls": {"enabled": True}})]\n'
        'apps = [("b", {"address": "192.0.2.2"})]\n'
    )
    with pytest.raises(SettingsError, match=r"tls\.enabled: is set for a only; set it for all"):
        load(inventory=inventory.name)
