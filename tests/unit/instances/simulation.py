"""A cluster in memory: several agents run the real decisions and the real writing of rows, over a
ledger, units and balancers that are simulated second by second, with everything that can go wrong.

What must hold at every moment is asserted in `invariants`; here is only how the world behaves.
"""

import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stellwerk.host.unit import Activity, Unit
from stellwerk.instances.agent import rows
from stellwerk.instances.availability import Cluster
from stellwerk.instances.configuration import ServiceFigures
from stellwerk.instances.facts import Health, HostFacts, Remembered
from stellwerk.instances.life_cycle import (
    Clear,
    Insert,
    LedgerStep,
    Pin,
    Put,
    Remove,
    Start,
    Stop,
    UnitStep,
    Unpin,
    forgiven,
    plan,
    remembered_after,
)
from stellwerk.instances.model import (
    AgentSign,
    Instance,
    InstanceKey,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Service,
    Sighting,
    Snapshot,
    State,
)

GOOD, BETTER = "a" * 16, "b" * 16
NEVER_READY, UNHEALTHY, CRASHING, ERRONEOUS = "c" * 16, "d" * 16, "e" * 16, "f" * 16
BAD = (NEVER_READY, UNHEALTHY, CRASHING, ERRONEOUS)
GENERATIONS = (GOOD, BETTER, *BAD)

LOST_AFTER = timedelta(seconds=30)
HEARTBEAT = 10


def figures(
    name: str, first_port: int, *, balanced: bool = True, ports: int = 12
) -> ServiceFigures:
    """A service with short times, so that a simulated hour shows a lot."""
    return ServiceFigures(
        name=name,
        first_port=first_port,
        last_port=first_port + ports - 1,
        health_path="/health",
        health_grace=5,
        health_timeout=1,
        health_tries=3,
        start_timeout=15,
        drain_timeout=60,
        stop_timeout=5,
        balancer="haproxy" if balanced else None,
        backend=f"{name}_backend" if balanced else None,
        listen_port=first_port + 1000 if balanced else None,
    )


class Ledger:
    """The ledger's tables, as the store reads and writes them."""

    def __init__(self, at: datetime) -> None:
        self.up = True
        self.at = at
        self.services: dict[str, Service] = {}
        self.desired: dict[tuple[str, str], int] = {}
        self.rollouts: dict[int, Rollout] = {}
        self.instances: dict[InstanceKey, Instance] = {}
        self.sightings: dict[tuple[InstanceKey, str], Sighting] = {}
        self.signs: dict[tuple[str, Role], datetime] = {}
        self.events: list[tuple[datetime, str, InstanceKey | None, str]] = []

    def snapshot(self) -> Snapshot:
        current = {one.rollout for one in self.services.values()}
        return Snapshot(
            at=self.at,
            services=dict(self.services),
            desired=dict(self.desired),
            rollouts={id_: one for id_, one in self.rollouts.items() if id_ in current},
            instances=dict(self.instances),
            sightings=tuple(self.sightings.values()),
            agents=tuple(AgentSign(host, role, at) for (host, role), at in self.signs.items()),
        )

    def start_rollout(self, service: str, generation: str, **options: Any) -> None:
        about = self.services[service]
        before = self.rollouts.get(about.rollout)
        if before is not None and before.state in (RolloutState.RUNNING, RolloutState.FAILED):
            self.rollouts[before.id] = replace(before, state=RolloutState.REPLACED)
        number = len(self.rollouts) + 1
        self.rollouts[number] = Rollout(
            id=number,
            service=service,
            generation=generation,
            previous=about.stable,
            state=RolloutState.RUNNING,
            started_at=self.at,
            progressed_at=self.at,
            started_by="test",
            **options,
        )
        self.services[service] = replace(about, generation=generation, rollout=number)

    def empty(self) -> None:
        """What an operator's mishap leaves: services, but nothing of their instances."""
        self.desired.clear()
        self.instances.clear()
        self.sightings.clear()

    # What ServiceTransaction does.

    async def claim(self, instance: Instance) -> bool:
        if instance.key in self.instances or instance.key.service not in self.services:
            return False
        self.instances[instance.key] = replace(instance, since=self.at)
        return True

    async def put(self, instance: Instance) -> None:
        before = self.instances[instance.key]
        since = before.since if before.state is instance.state else self.at
        self.instances[instance.key] = replace(instance, since=since, held=before.held)

    async def remove(self, key: InstanceKey) -> None:
        del self.instances[key]
        for one in [one for one in self.sightings if one[0] == key]:
            del self.sightings[one]

    async def update_rollout(self, id: int, **columns: Any) -> None:  # noqa: A002
        if self.rollouts[id].state is RolloutState.RUNNING:
            self.rollouts[id] = replace(self.rollouts[id], **columns)

    async def finish_rollout(self, id: int, state: RolloutState, **columns: Any) -> None:  # noqa: A002
        self.rollouts[id] = replace(self.rollouts[id], state=state, finished_at=self.at, **columns)

    async def set_stable(self, service: str, generation: str) -> None:
        self.services[service] = replace(self.services[service], stable=generation)

    async def record(self, kind: str, key: InstanceKey | None, detail: str) -> None:
        self.events.append((self.at, kind, key, detail))


@dataclass
class Transaction:
    """The ledger, locked for one service: it is seen as of the lock."""

    ledger: Ledger
    snapshot: Snapshot

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


@dataclass
class Job:
    """Something an agent has systemd do, done after a while."""

    ends: int
    effect: Callable[[], None]
    agents: bool  # it is forgotten when the agent is killed


@dataclass
class AppHost:
    """A host with units, and the agent on it."""

    name: str
    rng: random.Random
    up: bool = True
    agent: bool = True
    boots: int = 1
    pins: dict[InstanceKey, str] = field(default_factory=dict)
    units: dict[InstanceKey, Unit] = field(default_factory=dict)
    runs: dict[InstanceKey, str] = field(default_factory=dict)  # the generation of the processes
    begun: dict[InstanceKey, int] = field(default_factory=dict)
    jobs: dict[InstanceKey, Job] = field(default_factory=dict)
    memory: dict[InstanceKey, Remembered] = field(default_factory=dict)
    tried: dict[InstanceKey, int] = field(default_factory=dict)  # when health checks began
    starts: int = 0

    def start(self, key: InstanceKey, second: int) -> None:
        """systemd starts what is pinned."""
        generation = self.pins.get(key)
        if generation is None or self.units.get(key, Unit()).has_processes:
            return
        self.starts += 1
        before = self.units.get(key, Unit())
        invocation = f"{self.name}-{self.boots}-{self.starts}"
        self.units[key] = replace(before, activity=Activity.STARTING, invocation=invocation)
        self.runs[key] = generation
        self.begun[key] = second

    def stop(self, key: InstanceKey) -> None:
        self.units.pop(key, None)
        self.runs.pop(key, None)

    def crash(self, key: InstanceKey, second: int) -> None:
        """The process ends; systemd starts it again, up to five times."""
        unit = self.units[key]
        self.units[key] = replace(unit, activity=Activity.FAILED, result="exit-code")
        if unit.restarts < 4:
            self.start(key, second)
            self.units[key] = replace(self.units[key], restarts=unit.restarts + 1)
        else:
            self.runs.pop(key, None)

    def live(self, second: int) -> None:
        """What units do by themselves in one second."""
        for key, unit in list(self.units.items()):
            age = second - self.begun.get(key, second)
            generation = self.runs.get(key)
            if unit.activity is Activity.STARTING and generation != NEVER_READY and age >= 2:
                self.units[key] = replace(unit, activity=Activity.RUNNING)
            elif unit.activity is Activity.RUNNING and generation == CRASHING and age >= 12:
                self.crash(key, second)
        for key, job in list(self.jobs.items()):
            if second >= job.ends:
                del self.jobs[key]
                job.effect()

    def healthy(self, key: InstanceKey) -> bool:
        running = self.units.get(key, Unit()).activity is Activity.RUNNING
        return self.up and running and self.runs.get(key) != UNHEALTHY

    def kill_agent(self) -> None:
        self.agent = False
        self.jobs = {key: job for key, job in self.jobs.items() if not job.agents}
        self.tried.clear()

    def power_off(self) -> None:
        self.up = False
        self.kill_agent()
        self.jobs.clear()
        self.units.clear()
        self.runs.clear()

    def power_on(self, second: int) -> None:
        self.up = self.agent = True
        self.boots += 1
        for key in self.pins:
            self.start(key, second)


@dataclass
class Balancer:
    """A balancer and the agent on it. `seen` is what it does, not what its agent has said."""

    name: str
    rng: random.Random
    agent: bool = True
    serves: bool = True
    seen: dict[InstanceKey, Seen] = field(default_factory=dict)
    idle_at: dict[InstanceKey, int] = field(default_factory=dict)
    counts: dict[InstanceKey, tuple[int, int]] = field(default_factory=dict)

    def live(self, healthy: Callable[[InstanceKey], bool], broken: set[InstanceKey]) -> None:
        """Its own checks, and its clients."""
        for key, seen in self.seen.items():
            if seen in (Seen.UP, Seen.DOWN) and self.serves:
                self.seen[key] = Seen.UP if healthy(key) else Seen.DOWN
            if self.seen[key] is Seen.UP and self.serves:
                requests, errors = self.counts.get(key, (0, 0))
                self.counts[key] = requests + 5, errors + (5 if key in broken else 0)

    def converge(self, snapshot: Snapshot, second: int) -> list[Sighting]:
        for key in list(self.seen):
            if key not in snapshot.instances:
                del self.seen[key]
        for key, instance in snapshot.instances.items():
            seen = self.seen.get(key, Seen.OUT)
            if instance.wanted_in_rotation and seen in (Seen.OUT, Seen.DRAINING):
                self.seen[key] = Seen.DOWN if seen is Seen.OUT else Seen.UP
                self.counts[key] = (0, 0)
            elif not instance.wanted_in_rotation and seen in (Seen.UP, Seen.DOWN):
                self.seen[key] = Seen.DRAINING
                self.idle_at[key] = second + self.rng.randint(0, 5)
            elif seen is Seen.DRAINING and second >= self.idle_at[key]:
                self.seen[key] = Seen.OUT
        return [
            Sighting(key, self.name, self.seen.get(key, Seen.OUT), 0, *self.counts.get(key, (0, 0)))
            for key in snapshot.instances
        ]


class World:
    """The cluster. `tick` lets a second pass; `watchers` are called with each step taken."""

    def __init__(
        self,
        services: Mapping[str, ServiceFigures],
        hosts: tuple[str, ...] = ("app-1", "app-2"),
        balancers: tuple[str, ...] = ("lb-1", "lb-2"),
        seed: int = 0,
    ) -> None:
        self.rng = random.Random(seed)
        self.second = 0
        self.services = services
        self.hosts = {name: AppHost(name, self.rng) for name in hosts}
        self.balancers = {name: Balancer(name, self.rng) for name in balancers}
        self.ledger = Ledger(datetime(2026, 1, 1, tzinfo=UTC))
        self.balanced = frozenset(one.name for one in services.values() if one.balancer)
        self.ports = {one.name: one.ports for one in services.values()}
        self.installed = frozenset(
            (service, generation) for service in services for generation in GENERATIONS
        )
        self.watchers: list[Callable[[AppHost, UnitStep | LedgerStep], None]] = []

    def declare(self, service: str, generation: str, counts: Mapping[str, int]) -> None:
        """What a first deploy does."""
        self.ledger.services[service] = Service(service, generation, None, 0)
        for host, count in counts.items():
            self.ledger.desired[service, host] = count
        self.ledger.start_rollout(service, generation)

    def tick(self) -> None:
        self.second += 1
        self.ledger.at += timedelta(seconds=1)
        for host in self._shuffled(self.hosts.values()):
            if host.up:
                host.live(self.second)
            if host.agent and self.ledger.up:
                self._beat(host.name, Role.APPS)
                self._app_agent(host)
        broken = {
            key
            for host in self.hosts.values()
            for key, generation in host.runs.items()
            if generation == ERRONEOUS
        }
        for balancer in self._shuffled(self.balancers.values()):
            balancer.live(self.healthy, broken)
            if balancer.agent and self.ledger.up:
                self._beat(balancer.name, Role.BALANCERS)
                if self.rng.random() < 0.7:
                    self._balancer_agent(balancer)

    def run(self, seconds: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; True as soon as `until` holds."""
        for _ in range(seconds):
            if until():
                return True
            self.tick()
        return until()

    def healthy(self, key: InstanceKey) -> bool:
        return any(host.healthy(key) for host in self.hosts.values())

    def in_rotation(self, service: str) -> set[InstanceKey]:
        """What really gets requests from every balancer that serves, and can answer them."""
        serving = [one for one in self.balancers.values() if one.serves]
        return {
            key
            for key in self.ledger.instances
            if key.service == service
            and self.healthy(key)
            and (
                self.services[service].balancer is None
                or all(one.seen.get(key) is Seen.UP for one in serving)
            )
        }

    def rollout(self, service: str) -> Rollout:
        return self.ledger.rollouts[self.ledger.services[service].rollout]

    def settled(self) -> bool:
        """Everything is as declared, and serves."""
        return all(self._settled(service) for service in self.ledger.services)

    def _settled(self, service: str) -> bool:
        rollout = self.rollout(service)
        about = self.ledger.services[service]
        rows_ = [one for one in self.ledger.instances.values() if one.key.service == service]
        wanted = {
            host: count for (name, host), count in self.ledger.desired.items() if name == service
        }
        present = {host: sum(one.host == host for one in rows_) for host in wanted}
        pinned = {
            key: generation
            for host in self.hosts.values()
            for key, generation in host.pins.items()
            if key.service == service
        }
        return (
            rollout.state is RolloutState.DONE
            and about.stable == about.generation
            and present == wanted
            and pinned == {one.key: about.generation for one in rows_}
            and {one.key for one in rows_ if not one.held} <= self.in_rotation(service)
            and all(one.state is State.READY for one in rows_)
        )

    # The agents.

    def _beat(self, name: str, role: Role) -> None:
        if self.second % HEARTBEAT == 0 or (name, role) not in self.ledger.signs:
            self.ledger.signs[name, role] = self.ledger.at

    def _balancer_agent(self, balancer: Balancer) -> None:
        for sighting in balancer.converge(self.ledger.snapshot(), self.second):
            self.ledger.sightings[sighting.key, balancer.name] = sighting

    def _app_agent(self, host: AppHost) -> None:
        for about in self._shuffled(self.services.values()):
            snapshot = self.ledger.snapshot()
            facts = self._facts(host, snapshot)
            planned = plan(self._cluster(snapshot), facts, about)
            for step in planned.ledger:
                self._tell(host, step)
                _now(rows.write(step, Transaction(self.ledger, snapshot), {}))
                self._remember(host, step, facts)
            if not planned.ledger:
                for unit_step in planned.units:
                    self._tell(host, unit_step)
                    self._carry_out(host, unit_step)

    def _facts(self, host: AppHost, snapshot: Snapshot) -> HostFacts:
        own = {key: one for key, one in snapshot.instances.items() if one.host == host.name}
        for key in host.tried.keys() - own.keys():
            del host.tried[key]
        for key, one in own.items():
            if one.state is not State.STARTING:
                host.tried.pop(key, None)
            elif host.units.get(key, Unit()).has_processes:
                host.tried.setdefault(key, self.second)
            if one.state is State.READY and key in host.memory:
                host.memory[key] = forgiven(host.memory[key], snapshot.at - one.since)
        return HostFacts(
            host=host.name,
            address="10.0.0.1",
            boot=str(host.boots),
            pins=dict(host.pins),
            units=dict(host.units),
            health={key: self._health(host, key, since) for key, since in host.tried.items()},
            remembered=dict(host.memory),
            busy=frozenset(host.jobs),
            generations=self.installed,
        )

    def _health(self, host: AppHost, key: InstanceKey, since: int) -> Health:
        about = self.services[key.service]
        running = host.units.get(key, Unit()).activity is Activity.RUNNING
        if running and host.healthy(key):
            return Health(passed=True)
        patience = about.health_grace + about.health_tries if running else about.start_timeout + 10
        return Health(failure="no answer") if self.second - since > patience else Health()

    def _cluster(self, snapshot: Snapshot) -> Cluster:
        bare = Cluster(
            snapshot=snapshot,
            balancers=tuple(self.balancers),
            balanced=self.balanced,
            lost_after=LOST_AFTER,
            ports=self.ports,
        )
        refusing = frozenset(
            (balancer.name, service)
            for balancer in self.balancers.values()
            for service in self.services
            if not balancer.serves and bare.lost(balancer.name, Role.BALANCERS)
        )
        return replace(bare, refusing=refusing) if refusing else bare

    def _remember(self, host: AppHost, step: LedgerStep, facts: HostFacts) -> None:
        if isinstance(step, Remove):
            host.memory.pop(step.key, None)
        elif isinstance(step, Put | Insert) and step.event is not None:
            key = step.instance.key
            before = host.memory.get(key, Remembered())
            host.memory[key] = remembered_after(step, before, facts)
            if step.instance.state is State.FAILED:
                host.tried.pop(key, None)

    def _carry_out(self, host: AppHost, step: UnitStep) -> None:
        key = step.key
        assert key not in host.jobs
        match step:
            case Pin(generation=generation):
                self._later(host, key, lambda: host.pins.update({key: generation}))
            case Unpin():
                self._later(host, key, lambda: host.pins.pop(key, None))
            case Clear():
                host.units.pop(key, None)
            case Start():
                host.start(key, self.second)
            case Stop():
                unit = host.units[key]
                host.units[key] = replace(unit, activity=Activity.STOPPING)
                self._later(host, key, lambda: host.stop(key), agents=False)

    def _later(
        self, host: AppHost, key: InstanceKey, effect: Callable[[], Any], *, agents: bool = True
    ) -> None:
        host.jobs[key] = Job(self.second + self.rng.randint(1, 3), effect, agents)

    def _tell(self, host: AppHost, step: UnitStep | LedgerStep) -> None:
        for watcher in self.watchers:
            watcher(host, step)

    def _shuffled(self, things: Any) -> list[Any]:
        listed = list(things)
        self.rng.shuffle(listed)
        return listed


def _now(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")
