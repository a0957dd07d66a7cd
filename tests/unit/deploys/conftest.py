"""The shipped cluster and a single host in every group, with the shipped group_data."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.settings.cluster import Cluster, ClusterHost, load_cluster

REPOSITORY = Path(__file__).parents[3]
GROUPS = ("balancers", "apps", "caches", "sentinels", "databases", "monitors")

Load = Callable[..., Cluster]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where inventories lie beside generated secrets."""
    made = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "inventory", made / "inventory")
    single = "".join(f'{group} = [("one", {{"address": "192.0.2.1"}})]\n' for group in GROUPS)
    (made / "single").write_text(single)
    return made


@pytest.fixture(scope="session")
def load(folder: Path) -> Load:
    """Load a cluster of the site, by default the shipped one, with values set by dotted key.

    `text` is that of an inventory of its own.
    """

    def load(
        overrides: Mapping[str, Any] | None = None,
        inventory: str = "inventory",
        text: str | None = None,
    ) -> Cluster:
        if text is not None:
            (folder / inventory).write_text(text)
        return load_cluster(folder / inventory, [REPOSITORY / "group_data"], overrides)

    return load


@pytest.fixture(scope="session")
def cluster(load: Load) -> Cluster:
    """The six shipped hosts."""
    return load()


@pytest.fixture(scope="session")
def single(load: Load) -> Cluster:
    """One host in every group."""
    return load(inventory="single")


def host_of(cluster: Cluster, group: str) -> ClusterHost:
    """The first host of a group."""
    return cluster.group(group)[0]


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
