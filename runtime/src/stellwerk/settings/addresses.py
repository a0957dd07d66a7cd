"""Finds the address the other hosts of the cluster reach a host by."""

import ipaddress
import socket
from collections.abc import Callable

from stellwerk.settings.inventory import InventoryHost

Resolve = Callable[[str], str]
"""Turns a name into an address, or raises OSError."""


def resolve(name: str) -> str:
    """Ask the system's resolver, IPv4 first, as every daemon of ours listens on it."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(ordered[0][4][0])


def address_of(host: InventoryHost, ask: Resolve = resolve) -> str:
    """Return data `address`, or `ssh_hostname` or the name: as an address, or resolved to one.

    ValueError says what to do where none of them gives one.
    """
    declared = host.data.values.get("address")
    if declared is not None:
        if is_address(declared):
            return str(declared)
        raise ValueError(f"{declared!r} is not accepted: expected an IP address")
    ssh_hostname = host.data.values.get("ssh_hostname")
    for candidate in (ssh_hostname, host.name):
        if is_address(candidate):
            return str(candidate)
    name = ssh_hostname if isinstance(ssh_hostname, str) else host.name
    try:
        return ask(name)
    except (OSError, UnicodeError):
        raise ValueError(
            f'{name} cannot be resolved; give its IP address as data: ("{host.key}",'
            ' {"address": "192.0.2.1"})'
        ) from None


def is_address(value: object) -> bool:
    """Return whether `value` is the text of an IP address."""
    try:
        ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True
