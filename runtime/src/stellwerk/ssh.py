"""The words of an `ssh` that reaches a host of the inventory as the deploys do. Runs nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stellwerk.settings.hosts import ClusterHost

LOCAL: Final = "@local"
"""pyinfra's name of the machine it runs on, which is reached without ssh."""
_CONNECT_SECONDS: Final = 8
"""Less than pyinfra's and a load test's first look wait, so that ssh says what is wrong."""
_ALWAYS: Final[Mapping[str, str]] = {
    "ConnectTimeout": str(_CONNECT_SECONDS),
    "LogLevel": "ERROR",  # what a host greets with is no reason for a failure
    "ClearAllForwardings": "yes",
}
_DATA_OPTIONS: Final[Mapping[str, str]] = {
    "ssh_user": "User",
    "ssh_port": "Port",
    "ssh_known_hosts_file": "UserKnownHostsFile",
}
_HOST_KEY_CHECKING: Final = "accept-new"  # pyinfra's own default


def ssh_words(host: ClusterHost, options: Mapping[str, str]) -> list[str]:
    """ssh, its options and the host's address; the command on the host is to follow.

    + options: further ones of ssh_config(5), such as BatchMode
    """
    data = host.data
    words = ["ssh"]
    if config := data.get("ssh_config_file"):
        words += ["-F", _path(config)]
    if key := data.get("ssh_key"):
        words += ["-i", _path(key), "-o", "IdentitiesOnly=yes"]
    for name, value in {**_ALWAYS, **_from_data(data), **options}.items():
        words += ["-o", f"{name}={value}"]
    return [*words, "--", str(data.get("ssh_hostname") or host.name)]


def _from_data(data: Mapping[str, Any]) -> dict[str, str]:
    given = {option: str(data[key]) for key, option in _DATA_OPTIONS.items() if data.get(key)}
    checking = data.get("ssh_strict_host_key_checking") or _HOST_KEY_CHECKING
    return {"StrictHostKeyChecking": str(checking), **given}


def _path(value: object) -> str:
    return str(Path(str(value)).expanduser())
