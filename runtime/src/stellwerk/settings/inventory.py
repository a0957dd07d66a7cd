"""Reads an inventory: hosts, their groups in the order of declaration, and their data.

The file is the one pyinfra reads: every list of hosts in it is a group. Addresses are elsewhere.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stellwerk.settings import python_files
from stellwerk.settings.errors import SettingsError, nearest
from stellwerk.settings.layers import Layer
from stellwerk.settings.python_files import PythonFile
from stellwerk.settings.schema import KeyPath, root

KNOWN_GROUPS: Final = ("balancers", "apps", "caches", "sentinels", "databases", "monitors")


@dataclass(frozen=True)
class InventoryHost:
    """A host as declared. `key` is pyinfra's name of it, such as "app-1" or "@fake/app-1"."""

    key: str
    groups: tuple[str, ...]
    data: Layer

    @property
    def name(self) -> str:
        """The host's name without the connector."""
        return short_name(self.key)


@dataclass(frozen=True)
class Group:
    """A group as declared, with the data given beside its list of hosts."""

    hosts: tuple[str, ...]
    data: Layer


@dataclass(frozen=True)
class Inventory:
    """All hosts, and all groups but `all`, in the order of declaration."""

    source: str
    hosts: tuple[InventoryHost, ...]
    groups: Mapping[str, Group]
    all_data: Layer
    problems: tuple[str, ...]


@dataclass
class _Declared:
    """Hosts with their data, collected over the groups."""

    source: str
    lines: Mapping[str, Mapping[KeyPath, int]]
    data: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, host: str | tuple[str, dict[str, Any]]) -> str:
        name, data = host if isinstance(host, tuple) else (host, {})
        self.data.setdefault(name, {}).update(data)
        return name

    def layer(self, name: str) -> Layer:
        return Layer(self.source, self.data[name], self.lines.get(name, {}))


def short_name(key: str) -> str:
    """Return a host's name without its connector: "@fake/app-1" is "app-1"."""
    return key.rpartition("/")[2].lstrip("@") if key.startswith("@") else key


def read(path: Path) -> Inventory:
    """Read the inventory at `path`. SettingsError where it cannot be run or declares no host."""
    file = python_files.read(path)
    declared = _Declared(str(path), dict(_host_lines(file)))
    groups: dict[str, Group] = {}
    problems: list[str] = []
    for name, value in file.variables.items():
        hosts, data = value if _is_pair(value) else (value, {})
        if not isinstance(hosts, list):
            continue
        if not all(_is_host(host) for host in hosts) or not isinstance(data, dict):
            problems.append(
                f"{_where(file, name)}: group {name}: expected a list of host names"
                " or (name, data) pairs"
            )
            continue
        members = tuple(dict.fromkeys(declared.add(host) for host in hosts))
        groups[name] = Group(members, Layer(str(path), data, _group_lines(file, name)))
    everyone = groups.pop("all", Group((), Layer(str(path), {})))
    problems.extend(_name_problems(file, groups, declared.data))
    if not declared.data:
        raise SettingsError([*problems, f"{path}: declares no host"])
    hosts = tuple(_host(declared, groups, key) for key in declared.data)
    return Inventory(str(path), hosts, groups, everyone.data, tuple(problems))


def _host(declared: _Declared, groups: Mapping[str, Group], key: str) -> InventoryHost:
    member_of = tuple(name for name, group in groups.items() if key in group.hosts)
    return InventoryHost(key, member_of, declared.layer(key))


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], list)


def _is_host(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)
    return isinstance(value, str)


def _where(file: PythonFile, name: str) -> str:
    line = file.lines.get((name,))
    return f"{file.path}:{line}" if line else str(file.path)


def _name_problems(
    file: PythonFile, groups: Mapping[str, Group], hosts: Mapping[str, Any]
) -> Iterator[str]:
    sections = root().fields
    for group in groups:
        if group in sections:
            yield f"{_where(file, group)}: group {group}: is the name of a settings section"
        elif (meant := _misspelt(group)) is not None:
            yield f"{_where(file, group)}: group {group}: unknown group; did you mean {meant}?"
    names: dict[str, str] = {}
    for key in hosts:
        name = short_name(key)
        if name in names:
            yield f"{file.path}: host {key}: has the same name as host {names[name]}"
        if name in sections or name in groups or name == "all":
            yield f"{file.path}: host {key}: is also the name of a group or settings section"
        names[name] = key


def _misspelt(group: str) -> str | None:
    """Return the known group a name was probably meant to be. "apps_eu" is a name of its own."""
    parts = group.replace("-", "_").split("_")
    if any(part in KNOWN_GROUPS for part in parts):
        return None
    return nearest(group, KNOWN_GROUPS, cutoff=0.8)


def _host_lines(file: PythonFile) -> Iterator[tuple[str, dict[KeyPath, int]]]:
    lines: dict[str, dict[KeyPath, int]] = {}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            name, data = node.elts
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                lines.setdefault(name.value, {}).update(python_files.literal_lines(data))
    yield from lines.items()


def _group_lines(file: PythonFile, name: str) -> dict[KeyPath, int]:
    for statement in file.tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Tuple):
            continue
        named = any(isinstance(t, ast.Name) and t.id == name for t in statement.targets)
        if named and len(statement.value.elts) == 2:
            return dict(python_files.literal_lines(statement.value.elts[1]))
    return {}
