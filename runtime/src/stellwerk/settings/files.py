"""The settings file of a host: what the deploy puts there, and how daemons read it back.

Secrets are not in it. A daemon finds those it needs as systemd credentials, each in a file named
by its dotted key, such as "redis.passwords.app".
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stellwerk.settings import schema, validation
from stellwerk.settings.errors import SettingsError
from stellwerk.settings.hosts import Cluster, ClusterHost
from stellwerk.settings.root import Settings
from stellwerk.settings.schema import KeyPath, Kind, Node
from stellwerk.settings.types import Secret


@dataclass(frozen=True)
class Member:
    """A host of the cluster as the others know it."""

    name: str
    address: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class HostFile:
    """What a host knows: its own name, all members of the cluster, and its settings."""

    name: str
    members: tuple[Member, ...]
    settings: Settings

    def group(self, name: str) -> tuple[Member, ...]:
        """Return the members of a group, in the order of the inventory."""
        return tuple(member for member in self.members if name in member.groups)


def host_document(cluster: Cluster, host: ClusterHost) -> dict[str, Any]:
    """Return what is written to a host's settings file, ready for YAML, secrets left out."""
    return {
        "host": host.name,
        "members": {
            member.name: {"address": member.address, "groups": list(member.groups)}
            for member in cluster.hosts.values()
        },
        "settings": settings_document(host.settings),
    }


def settings_document(settings: Settings) -> dict[str, Any]:
    """Return settings ready for YAML, without secrets and where they come from."""
    values = settings.model_dump(mode="json", exclude={"secrets"})
    return {
        section: _without_secrets(node, values[section])
        for section, node in schema.root().fields.items()
        if section in values
    }


def read_settings(path: Path) -> Settings:
    """Return the settings in a host's file, with the secrets this process was given.

    Raises SettingsError naming the file and what is wrong with it.
    """
    return read_host_file(path).settings


def read_host_file(path: Path) -> HostFile:
    """Return all that a host's file says. Raises SettingsError as `read_settings` does."""
    document = _load(path)
    try:
        values = document["settings"]
        members = tuple(
            Member(name, about["address"], tuple(about["groups"]))
            for name, about in document["members"].items()
        )
        name = str(document["host"])
    except (KeyError, TypeError, AttributeError):
        raise SettingsError(
            [f"{path}: is not a settings file of Stellwerk; run the deploy again"]
        ) from None
    values = _with_credentials(values if isinstance(values, dict) else {})
    settings = validation.validate(values, lambda _path: str(path))
    return HostFile(name, members, settings)


def _load(path: Path) -> Any:
    try:
        # libyaml's reader takes a tenth of the time, and each command on a host begins with this.
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError([f"{path}: is not valid YAML; run the deploy again"]) from None


def _without_secrets(node: Node, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        key: _without_secrets(child, below)
        for key, below in value.items()
        if (child := node.child(key)) is not None and child.kind is not Kind.SECRET
    }


def _with_credentials(values: dict[str, Any]) -> dict[str, Any]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    for file in sorted(Path(folder).iterdir()) if folder else []:
        path = schema.split(file.name)
        node = schema.find(path)
        if node is not None and node.kind is Kind.SECRET:
            _put(values, path, Secret(file.read_text(encoding="utf-8").rstrip("\n")))
    return values


def _put(values: dict[str, Any], path: KeyPath, secret: Secret) -> None:
    *above, last = path
    for key in above:
        values = values.setdefault(key, {})
    values[last] = secret
