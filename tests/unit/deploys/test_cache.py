"""The cache daemon is told all it reads, restarted only for that, and handed no other secrets; and
services are told all that they need to use the cache.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploys.components import cache, credentials, services, tls
from deploys.engine.resources import ConfigSet
from stellwerk.caching.addresses import Sentinels
from stellwerk.caching.daemon_configuration import read
from stellwerk.caching.deployed import ConfigurationError, deployed
from stellwerk.caching.encryption import keyring
from stellwerk.endpoint import Endpoint
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of

CERTIFICATE = tls.HostCertificate("AUTHORITY", "0", "CERTIFICATE", "KEY")
PORTFOLIO = "caching.caches.portfolio"


def configuration(
    cluster: Cluster, release: str = "1", certificate: tls.HostCertificate | None = None
) -> ConfigSet:
    *_, found = cache.configs(cluster, host_of(cluster, "apps"), release, certificate)
    return found


def unit_of(config: ConfigSet) -> str:
    (unit,) = (file.content for file in config.files if file.path.endswith(cache.UNIT))
    return unit


def written(cluster: Cluster, folder: Path) -> Path:
    path = folder / "cache.json"
    path.write_text(json.dumps(cache.document(cluster, host_of(cluster, "apps"))))
    return path


def test_only_app_hosts_have_one_and_only_where_there_is_a_redis(
    cluster: Cluster, load: Load
) -> None:
    with_it = {
        host.name for host in cluster.hosts.values() if cache.configs(cluster, host, "1", None)
    }
    assert with_it == {"app-1", "app-2"}
    alone = load(inventory="alone", text='apps = [("app-1", {"address": "192.0.2.1"})]\n')
    assert cache.configs(alone, host_of(alone, "apps"), "1", None) == ()
    assert cache.checks(alone, host_of(alone, "apps")) == ()


def test_a_daemon_reads_back_what_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    for file in configuration(cluster).files:
        for key, path in handed(cluster).items():
            if file.path == path:
                (folder / key).write_text(file.content)
    found = read(written(cluster, tmp_path), folder)
    settings = host_of(cluster, "apps").settings
    assert isinstance(found.redis.at, Sentinels)
    assert len(found.redis.at.endpoints) == 3
    assert found.redis.credentials.user == "app"
    assert found.redis.credentials.password == settings.redis.passwords.app.get_secret_value()
    assert found.caching.caches == settings.caching.caches
    assert found.caching.invalidation == settings.caching.invalidation
    assert found.caching.encryption == settings.caching.encryption
    assert keyring(found.caching.encryption).seal(b"", b"")  # also with a key that is generated
    assert found.database is not None
    assert "user=stellwerk_app_" in found.database
    assert "sslmode=disable" in found.database


def test_a_service_reads_back_what_it_is_told(cluster: Cluster, tmp_path: Path) -> None:
    app = host_of(cluster, "apps")
    shared = services.shared_credentials()
    wanted = {credentials.path(name): secret for name, secret in credentials.wanted(app).items()}
    for name, path in shared.items():
        (tmp_path / name).write_text(wanted[path])
    told = tmp_path / "told" / "cache.json"
    told.parent.mkdir()
    told.write_text(json.dumps(cache.services_document(cluster, app)))
    found = deployed(
        {
            "CACHE_SETTINGS": str(told),
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "STATE_DIRECTORY": "/var/lib/shop",
        }
    )
    settings = app.settings
    assert isinstance(found.redis.at, Sentinels)
    assert found.redis.credentials.password == settings.redis.passwords.app.get_secret_value()
    assert found.redis.at.credentials.password == settings.sentinel.password.get_secret_value()
    assert found.caching.caches == settings.caching.caches
    assert found.caching.rate_limits == settings.caching.rate_limits
    assert found.caching.encryption == settings.caching.encryption
    assert found.caching.write_behind.directory == "/var/lib/shop/journals"


def test_a_service_outside_a_deploy_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match="CACHE_SETTINGS is not set"):
        deployed({})


def test_without_sentinels_it_is_told_the_server(load: Load, tmp_path: Path) -> None:
    hosts = [("one", {"address": "192.0.2.1"})]
    cluster = load(inventory="server", text=f"apps = caches = {hosts!r}\n")
    found = read(written(cluster, tmp_path), None)
    assert found.redis.at == Endpoint("192.0.2.1", 6379)
    assert found.database is None


def handed(cluster: Cluster) -> dict[str, str]:
    """The credentials of the unit: which file each is in, by its name."""
    text = unit_of(configuration(cluster))
    return dict(re.findall(r"^LoadCredential=([^:]+):(.+)$", text, re.MULTILINE))


def test_it_is_sandboxed(cluster: Cluster, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / cache.UNIT
    path.write_text(unit_of(configuration(cluster)))
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager"]
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_is_handed_its_passwords_and_tokens_and_no_others(cluster: Cluster) -> None:
    assert set(handed(cluster)) == {
        "redis.passwords.app",
        "sentinel.password",
        "postgresql.passwords.app",
        "caching.encryption.key",
        "caching.invalidation.admin.token",
        "caching.invalidation.admin.token_for_all",
    }
    private = {file.path for file in configuration(cluster).files if file.mode == 0o600}
    assert private == set(handed(cluster).values())


@pytest.mark.parametrize(
    ("overrides", "release", "is_restarted"),
    [
        ({}, "1", False),
        ({}, "2", True),
        ({f"{PORTFOLIO}.ttl_seconds": "295"}, "1", True),
        ({"caching.warming.workers": "2"}, "1", True),
        ({"caching.alerts.operation_ms.limit": "4"}, "1", False),
        ({"caching.write_behind.attempts": "4"}, "1", False),
        ({"redis.maxmemory": "512MB"}, "1", False),
        ({"monitoring.interval_seconds": "30"}, "1", False),
        ({"runtime.daemons.cache.memory": "300MB"}, "1", True),
    ],
)
def test_it_is_restarted_only_when_something_of_its_own_changed(
    cluster: Cluster, load: Load, overrides: dict[str, str], release: str, is_restarted: bool
) -> None:
    before, after = configuration(cluster), configuration(load(overrides), release)
    assert (before.digest != after.digest) == is_restarted


def test_with_tls_it_knows_the_authority_and_is_restarted_for_a_new_one(
    load: Load, tmp_path: Path
) -> None:
    cluster = load({"tls.enabled": "true"})
    told = json.loads(written(cluster, tmp_path).read_text())
    assert told["redis"]["tls_ca"] == tls.AUTHORITY
    assert f"sslmode=verify-full sslrootcert={tls.AUTHORITY}" in told["database"]
    renewed = tls.HostCertificate("ANOTHER", "0", "CERTIFICATE", "KEY")
    own = tls.HostCertificate("AUTHORITY", "0", "ANOTHER", "ANOTHER")
    before = configuration(cluster, certificate=CERTIFICATE).digest
    assert configuration(cluster, certificate=renewed).digest != before
    assert configuration(cluster, certificate=own).digest == before
