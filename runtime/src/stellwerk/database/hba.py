"""Renders pg_hba.conf: who may log in, from where, and how. Roles themselves are in `roles`."""

import ipaddress
from collections.abc import Iterable

_HEADER = """\
# Written by Stellwerk; the next deploy replaces changes made here.
# The first line that matches decides; what no line matches is refused.
"""


class HbaError(ValueError):
    """A role, database or address that must not or cannot stand in pg_hba.conf."""


def render_hba(database: str, entries: Iterable[tuple[str, str]], *, tls: bool = False) -> str:
    """The whole pg_hba.conf, the same for any order of `entries`.

    `entries` are pairs of role and address: an IPv4 or IPv6 address, or a network in CIDR notation.
    Each admits the logins of that role, its members, to `database` from there with a SCRAM
    password, over TLS only where `tls` is set. Locally the system user postgres needs no password,
    all others do. Raises `HbaError` for a name pg_hba.conf cannot hold, or an address that is none
    or that is the whole internet.
    """
    host = "hostssl" if tls else "host"
    name = _quoted(database)
    lines = [
        "local all postgres peer",
        "local all all scram-sha-256",
        *(
            f"{host} {name} +{_quoted(role)} {network} scram-sha-256"
            for role, network in _sorted_networks(entries)
        ),
    ]
    return _HEADER + "\n".join(lines) + "\n"


def _sorted_networks(
    entries: Iterable[tuple[str, str]],
) -> list[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    networks = {(role, _network(role, address)) for role, address in entries}
    return sorted(networks, key=lambda each: (each[0], each[1].version, each[1]))


def _network(role: str, address: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(address)
    except ValueError as error:
        raise HbaError(
            f"pg_hba.conf: {address!r}, given for role {role}, is no address: give an IPv4 or IPv6 "
            "address, or a network like 10.0.0.0/24."
        ) from error
    if network.prefixlen == 0:
        raise HbaError(
            f"pg_hba.conf: {address} would admit role {role} from everywhere: name the cluster's "
            "addresses."
        )
    return network


def _quoted(name: str) -> str:
    # Quotes take the special meaning from words like "all"; a slash makes a pattern even so.
    if not name or name.startswith("/") or any(c == '"' or not c.isprintable() for c in name):
        raise HbaError(
            f"pg_hba.conf cannot hold the name {name!r}: use printable characters, no quotes and "
            "no slash at the start."
        )
    return f'"{name}"'
