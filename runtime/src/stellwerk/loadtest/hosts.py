"""Which hosts of a cluster a load test watches, and the command through which each answers."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from stellwerk.loadtest.counters import ANSWER_SCRIPT
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.hosts import Cluster, ClusterHost
from stellwerk.ssh import LOCAL, ssh_words

HERE: Final = ("sh", "-c", ANSWER_SCRIPT)
"""The command through which this machine answers."""
EVERY_HOST: Final = "all"
_OPTIONS: Final[Mapping[str, str]] = {
    "BatchMode": "yes",  # fails instead of asking for a password
    "RequestTTY": "no",
    "ControlPath": "none",  # a connection of its own, which ends with it
}


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
    if host.key == LOCAL:
        return list(HERE)
    # Whatever shell the user has, it is told to run sh.
    return [*ssh_words(host, _OPTIONS), f"exec {shlex.join(HERE)}"]
