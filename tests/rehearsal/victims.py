"""Which hosts lose their power in a rehearsal. Pure."""

from dataclasses import dataclass

from stellwerk.settings.cluster import Cluster
from stellwerk.settings.inventory import KNOWN_GROUPS


@dataclass(frozen=True)
class Victim:
    """A host that loses its power, the groups it stands for, and those it leaves without a host."""

    host: str
    groups: tuple[str, ...]
    alone_in: tuple[str, ...]


def victims(cluster: Cluster) -> tuple[Victim, ...]:
    """One host of each group that Stellwerk knows, and no host twice: the first of each group.

    The first of `caches` is the master of a new cluster.
    """
    chosen: dict[str, list[str]] = {}
    for group in KNOWN_GROUPS:
        hosts = [one.name for one in cluster.group(group)]
        if hosts:
            known = next((host for host in hosts if host in chosen), hosts[0])
            chosen.setdefault(known, []).append(group)
    return tuple(
        Victim(host, tuple(groups), _alone_in(cluster, host)) for host, groups in chosen.items()
    )


def _alone_in(cluster: Cluster, host: str) -> tuple[str, ...]:
    return tuple(
        group for group in KNOWN_GROUPS if [one.name for one in cluster.group(group)] == [host]
    )
