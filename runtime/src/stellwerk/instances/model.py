"""What the ledger holds, as types: services, desired counts, roll-outs, instances, what balancers
see, agents. No decisions and no effects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class InstanceKey(NamedTuple):
    """Names an instance in the whole cluster: its port is one of its service's own."""

    service: str
    port: int

    def __str__(self) -> str:
        return f"{self.service}@{self.port}"

    @property
    def unit(self) -> str:
        """The systemd unit that runs it."""
        return f"{self}.service"


class State(StrEnum):
    """Where in its life an instance is. One that has stopped has no row."""

    STARTING = "starting"  # its unit starts, or its health check has not passed yet
    READY = "ready"  # healthy; in rotation unless an operator holds it out
    DRAINING = "draining"  # leaving the balancers and finishing its requests, then stopped
    FAILED = "failed"  # did not become or stay healthy; tried again with growing pauses


class Purpose(StrEnum):
    """Why an instance drains."""

    ROLL = "roll"  # to start again with the generation of its service
    RETIRE = "retire"  # one too many


class Seen(StrEnum):
    """An instance as one balancer has it."""

    UP = "up"  # gets requests
    DOWN = "down"  # in rotation, but its health checks do not pass (yet)
    DRAINING = "draining"  # gets no new requests, some are still running
    OUT = "out"  # gets none, none is running


class RolloutState(StrEnum):
    """How far a roll-out is. Only a running one changes anything."""

    RUNNING = "running"
    FAILED = "failed"  # stopped at the first unhealthy instance; `resume` or `undo`
    DONE = "done"
    REPLACED = "replaced"  # by a newer one, an undo among them


class Role(StrEnum):
    """What an agent does on its host, named after the inventory's group."""

    APPS = "apps"
    BALANCERS = "balancers"


@dataclass(frozen=True)
class Instance:
    """A row of the ledger about one instance, kept by the agent of its host."""

    key: InstanceKey
    host: str
    address: str
    generation: str
    rollout: int  # the newest roll-out it was started for
    state: State
    since: datetime
    purpose: Purpose | None = None
    held: bool = False  # kept out of rotation by an operator
    restarts: int = 0
    reason: str = ""  # why it is failed or waits

    @property
    def wanted_in_rotation(self) -> bool:
        """Whether balancers are to send it requests."""
        return self.state is State.READY and not self.held

    @property
    def leaves_for_good(self) -> bool:
        """Whether it drains and will not be started again."""
        return self.state is State.DRAINING and self.purpose is Purpose.RETIRE


@dataclass(frozen=True)
class Sighting:
    """An instance as one balancer sees it, kept by the agent there.

    `requests` and `errors` (answers with 5xx or none) count from its last entry into rotation.
    """

    key: InstanceKey
    balancer: str
    seen: Seen
    active: int = 0  # requests running now
    requests: int = 0
    errors: int = 0


@dataclass(frozen=True)
class Rollout:
    """One change of all instances of a service to a generation, one after the other."""

    id: int
    service: str
    generation: str
    previous: str | None  # the generation that was proven when it began; None on a first install
    state: RolloutState
    started_at: datetime
    progressed_at: datetime
    started_by: str
    restart: bool = False  # instances that run the generation already are restarted too
    max_unavailable: int = 1
    canary_seconds: int = 0  # time the first one is watched in rotation before others follow
    canary_error_percent: float = 100.0  # share of failed requests that fails it
    canary: int | None = None  # its port
    canary_since: datetime | None = None  # when it came into rotation
    canary_passed: bool = False
    finished_at: datetime | None = None
    reason: str = ""
    failed_instance: str = ""
    journal: str = field(default="", repr=False)


@dataclass(frozen=True)
class Service:
    """What a service is to run. `stable` is the generation of its last roll-out that was done."""

    name: str
    generation: str
    stable: str | None
    rollout: int


@dataclass(frozen=True)
class AgentSign:
    """When an agent was last heard of, by the clock of the ledger."""

    host: str
    role: Role
    seen_at: datetime
    release: str = ""
    status: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The whole ledger at one moment (`at`, by its own clock)."""

    at: datetime
    services: Mapping[str, Service] = field(default_factory=dict)
    desired: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by service and host
    rollouts: Mapping[int, Rollout] = field(default_factory=dict)  # the current one per service
    instances: Mapping[InstanceKey, Instance] = field(default_factory=dict)
    sightings: tuple[Sighting, ...] = ()
    agents: tuple[AgentSign, ...] = ()
    judged: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """The bounds, least and most, by which the scaler last judged a service."""

    def of(self, service: str) -> tuple[Instance, ...]:
        """The instances of a service, by port."""
        found = (one for one in self.instances.values() if one.key.service == service)
        return tuple(sorted(found, key=lambda one: one.key.port))

    def sightings_of(self, key: InstanceKey) -> tuple[Sighting, ...]:
        """How each balancer sees an instance."""
        return tuple(one for one in self.sightings if one.key == key)
