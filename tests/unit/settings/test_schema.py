"""The tree of keys, what every section owes its reader, and the shipped group data."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stellwerk.settings import Settings, schema
from stellwerk.settings.cluster import Cluster, load_cluster
from stellwerk.settings.schema import REQUIRED, KeyPath, Kind, Node

from .conftest import Site

SHIPPED = Path(__file__).parents[3] / "group_data"


def keys(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    for key, child in node.fields.items():
        yield (*path, key), child
        yield from keys(child, (*path, key))
    if node.values is not None:
        yield from keys(node.values, (*path, "NAME"))


def test_every_key_is_described() -> None:
    assert [".".join(path) for path, node in keys(schema.root()) if not node.description] == []


def test_the_defaults_are_valid_settings() -> None:
    values = Settings().model_dump()
    assert Settings.model_validate(values) == Settings()


def test_every_generated_secret_is_where_the_settings_have_one() -> None:
    paths = {".".join(path) for path in schema.secret_paths()}
    assert {"redis.passwords.admin", "postgresql.passwords.ledger", "sentinel.password"} <= paths
    assert "monitoring.receivers.slack.webhook_url" not in paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("redis.port", ("redis", "port")),
        ("base.sysctl.net.core.somaxconn", ("base", "sysctl", "net.core.somaxconn")),
        ("services.shop.port_base", ("services", "shop", "port_base")),
        ("no.such.key", ("no", "such", "key")),
    ],
)
def test_a_dotted_key_is_split_where_the_settings_have_keys(text: str, path: KeyPath) -> None:
    assert schema.split(text) == path


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("redis.memory_use_percent.warning", 80),
        ("services.shop.health_check.timeout_seconds", 10),
        ("services.shop.port_base", REQUIRED),
        ("no.such.key", REQUIRED),
    ],
)
def test_a_default_is_known_for_every_key_that_has_one(text: str, default: object) -> None:
    assert schema.default_of(schema.split(text)) == default


def test_settings_import_nothing_but_pydantic_and_yaml() -> None:
    heavy = ["aiohttp", "click", "numpy", "psutil", "psycopg", "pyinfra", "redis"]
    code = (
        "import sys, stellwerk.settings.cluster, stellwerk.settings.files;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    source = Path(sys.modules["stellwerk"].__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture
def shipped(site: Site) -> Cluster:
    return load_cluster(site.inventory, [SHIPPED], generate_secrets=False)


def test_the_shipped_group_data_is_valid_on_six_hosts(shipped: Cluster) -> None:
    for host in shipped.hosts.values():
        assert host.settings.postgresql.database == "aktienanalyse"


def test_the_shipped_group_data_is_valid_on_one_machine(site: Site) -> None:
    groups = ["balancers", "apps", "caches", "sentinels", "databases", "monitors"]
    host = '("one", {"address": "198.18.0.1"})'
    site.write("inventory", "".join(f"{group} = [{host}]\n" for group in groups))
    load_cluster(site.inventory, [SHIPPED], generate_secrets=False)


def test_every_shipped_service_is_scaled_and_has_a_baseline_or_is_public(shipped: Cluster) -> None:
    settings = shipped.host("app-1").settings
    assert set(settings.scaling.services) == set(settings.services)
    public = set(settings.nginx.locations.values())
    assert set(settings.services) <= set(settings.baselines.measures) | public


def test_the_shipped_services_fit_the_limits_over_all(shipped: Cluster) -> None:
    settings = shipped.host("app-1").settings
    instances = sum(service.max_instances for service in settings.services.values())
    memory = sum(s.max_instances * s.memory for s in settings.services.values())
    assert instances <= settings.scaling.limits.instances
    assert memory <= settings.scaling.limits.memory


def test_a_node_without_keys_below_has_no_child() -> None:
    node = schema.find(("redis", "port"))
    assert node is not None
    assert node.kind is Kind.VALUE
    assert node.child("tcp") is None
