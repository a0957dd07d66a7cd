"""Which instances a list shows and what is to be said of each, as a table or as JSON. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stellwerk.instances.availability import Cluster
from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Seen,
    Service,
    State,
)
from stellwerk.instances.store import Sample

HELD = "held"
"""The word for an instance that is ready and kept out of rotation by an operator."""


@dataclass(frozen=True)
class Row:
    """An instance as it is shown. `seen` has the balancers that know of it. What is known of an
    instance that is `lost` is as old as its agent's last sign.
    """

    instance: Instance
    seen: Mapping[str, Seen]
    sample: Sample | None
    lost: bool

    @property
    def state(self) -> str:
        """Its state in a word."""
        instance = self.instance
        if instance.state is State.READY and instance.held:
            return HELD
        return str(instance.state)

    @property
    def note(self) -> str:
        """Why it is as it is, where that is not plain."""
        instance = self.instance
        if instance.reason:
            return instance.reason
        if instance.state is State.DRAINING:
            return {
                Purpose.ROLL: "drains to be started again with the generation of its service",
                Purpose.RETIRE: "drains as one too many, to be stopped",
                None: "",
            }[instance.purpose]
        if instance.held:
            return (
                f"held out of rotation; to put it back: stellwerk instances undrain {instance.key}"
            )
        return ""


@dataclass(frozen=True)
class ServiceRows:
    """A service and those of its instances that are shown; counts are of all of them."""

    service: Service
    rows: tuple[Row, ...]
    desired: int
    present: int
    ready: int


@dataclass(frozen=True)
class LostAgent:
    """An agent that has not been heard of for too long; None if never."""

    host: str
    role: Role
    seen_at: datetime | None


@dataclass(frozen=True)
class Listing:
    """What is shown, services by name, instances by port."""

    at: datetime
    services: tuple[ServiceRows, ...]
    lost: tuple[LostAgent, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All instances shown."""
        return tuple(row for service in self.services for row in service.rows)

    @property
    def balancers(self) -> tuple[str, ...]:
        """The balancers that know of instances shown."""
        return tuple(sorted({name for row in self.rows for name in row.seen}))


def listing(
    cluster: Cluster,
    samples: Mapping[InstanceKey, Sample],
    *,
    services: Collection[str] = (),
    host: str | None = None,
) -> Listing:
    """What a list of these services (all if none is named) on that host (or all) shows."""
    snapshot = cluster.snapshot
    lost = tuple(_lost_agents(cluster))
    lost_hosts = {one.host for one in lost if one.role is Role.APPS}
    shown = []
    for name, service in sorted(snapshot.services.items()):
        if services and name not in services:
            continue
        instances = snapshot.of(name)
        rows = tuple(
            Row(
                one,
                {each.balancer: each.seen for each in snapshot.sightings_of(one.key)},
                samples.get(one.key),
                one.host in lost_hosts,
            )
            for one in instances
            if host in (None, one.host)
        )
        if host is not None and not rows:
            continue
        desired = sum(count for (of, _), count in snapshot.desired.items() if of == name)
        ready = sum(one.state is State.READY and one.host not in lost_hosts for one in instances)
        shown.append(ServiceRows(service, rows, desired, len(instances), ready))
    return Listing(snapshot.at, tuple(shown), lost)


def _lost_agents(cluster: Cluster) -> Iterator[LostAgent]:
    """The agents that should be heard of and are not: those that once were, those of balancers, and
    those of hosts with instances.
    """
    snapshot = cluster.snapshot
    signs = {(one.host, one.role): one.seen_at for one in snapshot.agents}
    expected = {
        *signs,
        *((one.host, Role.APPS) for one in snapshot.instances.values()),
        *((name, Role.BALANCERS) for name in cluster.balancers),
    }
    for host, role in sorted(expected):
        if cluster.lost(host, role):
            yield LostAgent(host, role, signs.get((host, role)))


def document(shown: Listing) -> dict[str, Any]:
    """The list for programs: times in ISO 8601, memory in bytes, what is unknown as null."""
    return {
        "at": shown.at.isoformat(),
        "services": {
            one.service.name: {
                "generation": one.service.generation,
                "stable": one.service.stable,
                "desired": one.desired,
                "present": one.present,
                "ready": one.ready,
            }
            for one in shown.services
        },
        "instances": [_row_document(row) for row in shown.rows],
        "lost_agents": [
            {
                "host": one.host,
                "role": one.role,
                "seen_at": one.seen_at.isoformat() if one.seen_at else None,
            }
            for one in shown.lost
        ],
    }


def _row_document(row: Row) -> dict[str, Any]:
    instance, sample = row.instance, row.sample
    return {
        "name": str(instance.key),
        "service": instance.key.service,
        "host": instance.host,
        "address": instance.address,
        "port": instance.key.port,
        "generation": instance.generation,
        "state": instance.state,
        "purpose": instance.purpose,
        "held": instance.held,
        "since": instance.since.isoformat(),
        "cpu_percent": sample.cpu_percent if sample else None,
        "memory_bytes": sample.memory_bytes if sample else None,
        "restarts": instance.restarts,
        "in_rotation": dict(sorted(row.seen.items())),
        "reason": instance.reason,
        "agent_lost": row.lost,
    }
