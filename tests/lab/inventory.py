"""Reads the hosts of a lab out of a pyinfra inventory file."""

import ipaddress
import re
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tests.lab.errors import LabError

DEFAULT_RELEASE = "bookworm"
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class LabHost:
    """A host to boot: its inventory name, its address and its Debian release."""

    name: str
    address: IPv4Address
    release: str


def read_hosts(path: Path) -> tuple[LabHost, ...]:
    """Return the hosts of an inventory file in the order they appear.

    Raises LabError when the file is missing, fails, or has a host the lab cannot boot.
    """
    if not path.is_file():
        raise LabError(f"There is no inventory file {path}: name one with --inventory.")
    try:
        variables = runpy.run_path(str(path))
    except Exception as error:
        raise LabError(f"The inventory {path} cannot be read: {error!r}.") from error
    hosts = hosts_of(variables, str(path))
    if not hosts:
        raise LabError(f"The inventory {path} has no hosts: add a group with at least one.")
    return hosts


def hosts_of(variables: Mapping[str, Any], origin: str) -> tuple[LabHost, ...]:
    """Return the hosts of an inventory's variables; `origin` names the file in errors.

    A group is a list of hosts or a tuple of such a list and the group's data, a host is a name or
    a tuple of name and data. Host data wins over group data, as in pyinfra.
    """
    from_groups: dict[str, dict[str, Any]] = {}
    from_hosts: dict[str, dict[str, Any]] = {}
    for members, group_data in _groups(variables):
        for member in members:
            name, data = member if isinstance(member, tuple) else (member, {})
            from_groups.setdefault(name, {}).update(group_data)
            from_hosts.setdefault(name, {}).update(data)
    hosts = tuple(_host(name, from_groups[name] | from_hosts[name], origin) for name in from_groups)
    _refuse_shared_addresses(hosts, origin)
    return hosts


def _groups(variables: Mapping[str, Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    for name, value in variables.items():
        if name.startswith("_"):
            continue
        members, data = value if isinstance(value, tuple) and len(value) == 2 else (value, {})
        if isinstance(members, list) and all(isinstance(item, str | tuple) for item in members):
            yield members, data


def _host(name: str, data: Mapping[str, Any], origin: str) -> LabHost:
    if not HOST_NAME.fullmatch(name):
        raise LabError(
            f"{origin}: the lab cannot boot the host {name!r}: a host name has at most 40 of a-z, "
            "0-9 and dashes."
        )
    address = data.get("ssh_hostname")
    try:
        return LabHost(name, IPv4Address(address), data.get("lab_release", DEFAULT_RELEASE))
    except ipaddress.AddressValueError as error:
        raise LabError(
            f"{origin}: the lab cannot boot the host {name}: its ssh_hostname {address!r} is not "
            "an IPv4 address."
        ) from error


def _refuse_shared_addresses(hosts: tuple[LabHost, ...], origin: str) -> None:
    owners: dict[IPv4Address, str] = {}
    for host in hosts:
        owner = owners.setdefault(host.address, host.name)
        if owner != host.name:
            raise LabError(
                f"{origin}: {owner} and {host.name} have the same address {host.address}."
            )
