"""The cluster as the deploys see it: hosts with their groups, addresses and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.inventory import KNOWN_GROUPS
from stellwerk.settings.layers import Layer
from stellwerk.settings.root import Settings


@dataclass(frozen=True)
class ClusterHost:
    """A host. `key` is pyinfra's name of it; `groups` are in the order the inventory declares;
    `data` is what pyinfra's connectors read of it, such as ssh_user.
    """

    key: str
    name: str
    groups: tuple[str, ...]
    address: str
    settings: Settings
    data: Mapping[str, Any] = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)


@dataclass(frozen=True)
class Cluster:
    """All hosts, by pyinfra's name, in the order of the inventory."""

    hosts: Mapping[str, ClusterHost]
    groups: Mapping[str, tuple[str, ...]]

    def group(self, name: str) -> tuple[ClusterHost, ...]:
        """Return the hosts of a group in its order; none where a known group is not declared."""
        if name not in self.groups and name not in KNOWN_GROUPS:
            known = dict.fromkeys((*KNOWN_GROUPS, *self.groups))
            raise SettingsError([f"{name}: unknown group{did_you_mean(name, known)}"])
        return tuple(self.hosts[key] for key in self.groups.get(name, ()))

    def host(self, name: str) -> ClusterHost:
        """Return a host by its name, with or without connector; SettingsError names the nearest."""
        by_name = {host.name: host for host in self.hosts.values()} | dict(self.hosts)
        if name not in by_name:
            names = [host.name for host in self.hosts.values()]
            raise SettingsError([f"{name}: unknown host{did_you_mean(name, names)}"])
        return by_name[name]
