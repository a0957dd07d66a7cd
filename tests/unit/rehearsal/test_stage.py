"""A rehearsal's copy of an inventory: the same cluster, with no way to the real hosts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.settings import inventory
from stellwerk.settings.cluster import SettingsError, load_cluster
from stellwerk.settings.types import Secret
from tests.lab.errors import LabError
from tests.lab.inventory import read_hosts
from tests.rehearsal.stage import Stage, doors, prepare, replaced

SSH_CONFIG = Path("/lab/ssh_config")
INVENTORY = """\
all = (
    [
        ("web", {"address": "10.20.30.41", "ssh_hostname": "web.example.invalid",
                 "ssh_key": "production.pem", "ssh_port": 2222, "_sudo": True,
                 "haproxy": {"maxconn": 900}}),
        ("data", {"address": "2001:db8::42", "lab_release": "trixie"}),
    ],
    {"ssh_user": "operator", "ssh_password": "production"},
)
balancers = ["web"]
apps = (["web", "data"], {"base": {"timezone": "Europe/Berlin"}})
caches = ["data"]
sentinels = ["data"]
databases = ["data"]
monitors = ["data"]
"""
SERVICES = """\
services = {"reports": {
    "port_base": 8600, "max_instances": 2, "memory": "128MB",
    "balancer": "haproxy", "listen_port": 9600, "backend_name": "reports_backend",
    "command": ["bin/reports"],
    "program": {"source": "programs/reports"},
}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder: inventory, group_data and secrets."""
    folder = tmp_path / "home"
    (folder / "group_data").mkdir(parents=True)
    (folder / "inventory").write_text(INVENTORY)
    (folder / "group_data" / "services.py").write_text(SERVICES)
    secrets = folder / "secrets.yaml"
    secrets.write_text("redis: {passwords: {app: the-real-one}}\n")
    secrets.chmod(0o600)
    return folder


@pytest.fixture
def stage(home: Path, tmp_path: Path) -> Stage:
    return prepare(home / "inventory", tmp_path, tmp_path / "stage", SSH_CONFIG)


def hosts(stage: Stage) -> dict[str, Any]:
    """Every host's data in the inventory that pyinfra gets."""
    return {one.name: one.data.values for one in inventory.read(stage.inventory).hosts}


def test_no_resolver_knows_the_names_by_which_runs_reach_the_hosts(stage: Stage) -> None:
    for name, data in hosts(stage).items():
        assert data["ssh_hostname"] == f"{name}.invalid"
        assert data["ssh_config_file"] == str(SSH_CONFIG)
        assert data["ssh_user"] == "root"


def test_nothing_is_left_of_how_production_is_reached(stage: Stage) -> None:
    web = hosts(stage)["web"]
    assert not web["_sudo"]
    assert web["ssh_key"] is web["ssh_port"] is web["ssh_password"] is None
    text = stage.inventory.read_text()
    assert "production" not in text
    assert "example" not in text


def test_groups_and_settings_are_those_of_the_inventory(home: Path, stage: Stage) -> None:
    real = load_cluster(home / "inventory", [home / "group_data"], generate_secrets=False)
    copy = load_cluster(stage.inventory, [home / "group_data"], generate_secrets=False)
    assert copy.groups == real.groups
    for name, host in real.hosts.items():
        assert copy.hosts[name].settings.haproxy == host.settings.haproxy
        assert copy.hosts[name].settings.base == host.settings.base


def test_programs_are_taken_from_where_they_lie(home: Path, stage: Stage) -> None:
    copy = load_cluster(stage.inventory, [home / "group_data"], generate_secrets=False)
    program = copy.host("web").settings.services["reports"].program
    assert program is not None
    assert program.source == str(home / "programs/reports")


def test_the_lab_boots_every_host_under_its_own_address_where_it_can(stage: Stage) -> None:
    booted = {one.name: (str(one.address), one.release) for one in read_hosts(stage.booted)}
    assert booted == {"web": ("10.20.30.41", "bookworm"), "data": ("198.18.200.1", "trixie")}
    assert stage.substituted == ("data",)


def test_a_name_that_nobody_resolves_gets_an_address_too(home: Path, tmp_path: Path) -> None:
    (home / "inventory").write_text('apps = [("far", {"ssh_hostname": "far.invalid"})]\n')
    stage = prepare(home / "inventory", tmp_path, tmp_path / "stage", SSH_CONFIG)
    assert stage.addresses == {"far": "198.18.200.1"}


def test_the_secrets_of_production_are_not_used(home: Path, stage: Stage) -> None:
    path = stage.folder / "secrets.yaml"
    other = yaml.safe_load(path.read_text())["redis"]["passwords"]["app"]
    assert other
    assert "the-real-one" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert "the-real-one" in (home / "secrets.yaml").read_text()


def test_replaced_secrets_keep_their_shape() -> None:
    other = replaced({"a": {"b": Secret("x")}, "n": None})
    assert set(other) == {"a", "n"}
    assert other["n"] is None
    assert other["a"]["b"] != "x"


def test_every_way_in_is_a_door(stage: Stage) -> None:
    found = {door.name: (door.host, door.url) for door in doors(stage)}
    assert found["web:reports"] == ("web", "http://10.20.30.41:9600/health")


def test_values_that_cannot_be_written_down_are_refused(home: Path, tmp_path: Path) -> None:
    (home / "inventory").write_text(
        "from pathlib import PurePosixPath\n"
        'data = {"address": "10.0.0.1", "base": {"packages": [PurePosixPath("tree")]}}\n'
        'apps = [("web", data)]\n'
    )
    with pytest.raises((LabError, SettingsError), match=r"plain values|packages"):
        prepare(home / "inventory", tmp_path, tmp_path / "stage", SSH_CONFIG)
