"""The scaler of the hosts in `monitors`, and which services' numbers are its own (C5)."""

from collections.abc import Collection

from stellwerk.settings.cluster import Cluster


def scaled(cluster: Cluster) -> Collection[str]:
    """The services whose number a scaler owns: none where no host runs one."""
    for host in cluster.group("monitors"):
        services = host.settings.scaling.services
        return [name for name, policy in services.items() if policy.enabled]
    return ()
