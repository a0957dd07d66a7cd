"""Where scenarios, baselines and hosts come from: the settings beside the inventory, or one YAML
file for all but the hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from stellwerk.settings.baselines import Baselines
from stellwerk.settings.cluster import Cluster, load_cluster
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.layers import Layer, checked
from stellwerk.settings.loadtest import Loadtest, Scenario
from stellwerk.settings.validation import validate

_SECTIONS = ("loadtest", "baselines")


@dataclass(frozen=True)
class Definitions:
    """What can be run, and what it is judged by."""

    loadtest: Loadtest
    baselines: Baselines

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name. Raises SettingsError naming the nearest one."""
        if name not in self.loadtest.scenarios:
            hint = did_you_mean(name, self.loadtest.scenarios)
            raise SettingsError([f"{name}: unknown scenario{hint}"])
        return self.loadtest.scenarios[name]

    def document(self) -> str:
        """The definitions as YAML that `from_file` reads."""
        values = {name: getattr(self, name).model_dump(mode="json") for name in _SECTIONS}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


@dataclass(frozen=True)
class Project:
    """The files a load test is about, as named on the command line; each is read when needed."""

    scenarios: Path | None
    inventory: Path
    group_data: tuple[Path, ...] = ()

    @cached_property
    def definitions(self) -> Definitions:
        """What `scenarios` holds, or else the settings of the cluster. Raises SettingsError."""
        if self.scenarios is not None:
            return from_file(self.scenarios)
        if not self.inventory.is_file():
            raise SettingsError(
                [
                    f"{self.inventory}: there is no such inventory; give --inventory PATH, or"
                    " --scenarios FILE.yaml where there are no settings"
                ]
            )
        return from_cluster(self.cluster)

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster of the inventory. Raises SettingsError."""
        if not self.inventory.is_file():
            raise SettingsError([f"{self.inventory}: there is no such inventory"])
        folders = self.group_data or (self.inventory.parent / "group_data",)
        return load_cluster(self.inventory, folders, generate_secrets=False)


def from_cluster(cluster: Cluster) -> Definitions:
    """The definitions in the settings of a cluster: those of any of its hosts."""
    settings = next(iter(cluster.hosts.values())).settings
    return Definitions(settings.loadtest, settings.baselines)


def from_file(path: Path) -> Definitions:
    """The definitions in a YAML file with the sections loadtest and baselines.

    Raises SettingsError naming the file and every problem in it.
    """
    values = _load(path)
    layer, problems = checked(Layer(str(path), values))
    problems += [
        f"{path}: {section}: has no place here; known are {', '.join(_SECTIONS)}"
        for section in layer.values
        if section not in _SECTIONS
    ]
    if problems:
        raise SettingsError(problems)
    settings = validate(layer.values, lambda _path: str(path))
    return Definitions(settings.loadtest, settings.baselines)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text"]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise SettingsError([f"{path}{line}: is not valid YAML"]) from None
    if not isinstance(values, Mapping):
        raise SettingsError([f"{path}: expected the sections {' and '.join(_SECTIONS)}"])
    return values
