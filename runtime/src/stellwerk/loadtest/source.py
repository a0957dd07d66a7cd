"""Where scenarios and baselines come from: the settings beside the inventory, or one YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stellwerk.settings.baselines import Baselines
from stellwerk.settings.cluster import load_cluster
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


def from_settings(inventory: Path, group_data: list[Path]) -> Definitions:
    """The definitions in the settings of a cluster. Raises SettingsError."""
    if not inventory.is_file():
        raise SettingsError(
            [
                f"{inventory}: there is no such inventory; give --inventory PATH, or"
                " --scenarios FILE.yaml where there are no settings"
            ]
        )
    folders = group_data or [inventory.parent / "group_data"]
    cluster = load_cluster(inventory, folders, generate_secrets=False)
    host = next(iter(cluster.hosts.values()), None)
    if host is None:
        raise SettingsError([f"{inventory}: has no hosts, and so no settings"])
    return Definitions(host.settings.loadtest, host.settings.baselines)


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
