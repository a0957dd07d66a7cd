"""Which hosts of a cluster a load test watches, and the command through which each answers."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stellwerk.loadtest.counters import ANSWER_SCRIPT
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.hosts import Cluster, ClusterHost

HERE: Final = ("sh", "-c", ANSWER_SCRIPT)
"""The command through which this machine answers."""
EVERY_HOST: Final = "all"
_LOCAL: Final = "@local"
_CONNECT_SECONDS: Final = 8
"""Time to connect. It is less than the first look waits, so that ssh says what is wrong."""
_OPTIONS: Final[Mapping[str, str]] = {
    "BatchMode": "yes",  # fails instead of asking for a password
    "ConnectTimeout": str(_CONNECT_SECONDS),
    "LogLevel": "ERROR",  # what a host greets with is no reason for a failure
    "ControlPath": "none",  # a connection of its own, which ends with it
    "ClearAllForwardings": "yes",
}
_DATA_OPTIONS: Final[Mapping[str, str]] = {
    "ssh_user": "User",
    "ssh_port": "Port",
    "ssh_known_hosts_file": "UserKnownHostsFile",
}
_HOST_KEY_CHECKING: Final = "accept-new"  # pyinfra's own default


def chosen(cluster: Cluster, names: Sequence[str]) -> tuple[ClusterHost, ...]:
    """The hosts of that name or in a group of that name, all where nothing is named.

    Raises SettingsError for a name that is neither, naming the nearest.
    """
    if not names or EVERY_HOST in names:
        return tuple(cluster.hosts.values())
    known = {*cluster.groups, *(host.name for host in cluster.hosts.values()), EVERY_HOST}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(
            f"{name}: no group or host of the inventory{did_you_mean(name, sorted(known))}"
            for name in unknown
        )
    return tuple(host for host in cluster.hosts.values() if {host.name, *host.groups} & set(names))


def command(host: ClusterHost) -> list[str]:
    """The words of the command that runs for the whole test and answers numbers on its input.

    It is a plain ssh that reaches the host as pyinfra does.
    """
    if host.key == _LOCAL:
        return list(HERE)
    data = host.data
    words = ["ssh", "-T"]
    if config := data.get("ssh_config_file"):
        words += ["-F", _path(config)]
    if key := data.get("ssh_key"):
        words += ["-i", _path(key), "-o", "IdentitiesOnly=yes"]
    for name, value in _options(data).items():
        words += ["-o", f"{name}={value}"]
    # Whatever shell the user has, it is told to run sh.
    return [*words, "--", str(data.get("ssh_hostname") or host.name), f"exec {shlex.join(HERE)}"]


def _options(data: Mapping[str, Any]) -> dict[str, str]:
    given = {option: str(data[key]) for key, option in _DATA_OPTIONS.items() if data.get(key)}
    checking = data.get("ssh_strict_host_key_checking") or _HOST_KEY_CHECKING
    return {**_OPTIONS, "StrictHostKeyChecking": str(checking), **given}


def _path(value: object) -> str:
    return str(Path(str(value)).expanduser())
