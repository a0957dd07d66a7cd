"""A folder with an inventory and group data to load settings from, filled by each test."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stellwerk.settings.cluster import Cluster, SettingsError, load_cluster

SERVICE = '{"port_base": 8100, "max_instances": 4, "memory": "64MB"}'

INVENTORY = """
balancers = [("lb-1", {"address": "198.18.0.1"})]
apps = [("app-1", {"address": "198.18.0.2"}), ("app-2", {"address": "198.18.0.3"})]
caches = [("cache-1", {"address": "198.18.0.4"}), ("cache-2", {"address": "198.18.0.5"})]
sentinels = ["cache-1", "cache-2", ("db-1", {"address": "198.18.0.6"})]
databases = ["db-1"]
monitors = ["db-1"]
"""


class Site:
    """An operator's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        self.group_data = folder / "group_data"
        self.secrets = folder / "secrets.yaml"
        self.group_data.mkdir()
        self.inventory.write_text(INVENTORY)

    def write(self, name: str, text: str) -> None:
        """Write a file of group data, or the inventory."""
        path = self.inventory if name == "inventory" else self.group_data / f"{name}.py"
        path.write_text(dedent(text).lstrip())

    def write_secrets(self, text: str, mode: int = 0o600) -> None:
        self.secrets.write_text(dedent(text).lstrip())
        self.secrets.chmod(mode)

    def load(
        self, overrides: Mapping[str, Any] | None = None, generate_secrets: bool = False
    ) -> Cluster:
        """Load the cluster without asking a resolver."""
        return load_cluster(
            self.inventory, [self.group_data], overrides, generate_secrets, self.resolve
        )

    def problems(
        self, overrides: Mapping[str, Any] | None = None, generate_secrets: bool = False
    ) -> tuple[str, ...]:
        """Load, expecting an error, and return its sentences with paths relative to the folder."""
        with pytest.raises(SettingsError) as caught:
            self.load(overrides, generate_secrets)
        return tuple(s.replace(f"{self.folder}/", "") for s in caught.value.sentences)

    @staticmethod
    def resolve(name: str) -> str:
        if name == "known.example":
            return "192.0.2.7"
        raise OSError("no such name")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder whose settings are valid: six hosts and no group data."""
    return Site(tmp_path)
