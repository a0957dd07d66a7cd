"""Whether balancers see an instance as an operator wants it: out of rotation, or in it. Pure."""

from collections.abc import Mapping
from typing import Final

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import Instance, InstanceKey, Role, Seen, Sighting, State

_WANTED: Final = {True: Seen.OUT, False: Seen.UP}
"""How balancers are to see an instance that is held, or that is not."""


def asked(cluster: Cluster, service: str) -> tuple[str, ...]:
    """The balancers that can be waited for: those whose agents are heard of."""
    return tuple(
        name for name in cluster.serving(service) if not cluster.lost(name, Role.BALANCERS)
    )


def unsettled(cluster: Cluster, key: InstanceKey, *, held: bool) -> Mapping[str, str]:
    """Those of the balancers that do not see the instance as they are to, and how they see it."""
    seen = {one.balancer: one for one in cluster.snapshot.sightings_of(key)}
    return {
        name: _as_seen(seen.get(name))
        for name in asked(cluster, key.service)
        if name not in seen or seen[name].seen is not _WANTED[held]
    }


def cannot_enter(instance: Instance) -> str:
    """Why an instance that is no longer held does not come into rotation soon; else nothing."""
    if instance.state is State.READY:
        return ""
    because = f" ({instance.reason})" if instance.reason else ""
    return f"{instance.key} is {instance.state}{because}: it comes into rotation once it is ready"


def _as_seen(sighting: Sighting | None) -> str:
    if sighting is None:
        return "has not said yet"
    running = f" with {sighting.active} running" if sighting.active else ""
    return f"{sighting.seen}{running}"
