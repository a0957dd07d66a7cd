"""What an app host's agent does next with its instances: a pure decision from the ledger and what
it finds on its host. It is level-triggered: the same however often and whenever it is asked.

Changes of the ledger are decided again under the service's lock before they are written. Which
instance a roll-out takes next is `rollouts`' decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Final

from stellwerk.host.unit import Activity, Unit
from stellwerk.instances import rollouts
from stellwerk.instances.availability import Cluster
from stellwerk.instances.configuration import ServiceFigures
from stellwerk.instances.facts import HostFacts, Remembered
from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    State,
)

FIRST_RETRY: Final = timedelta(seconds=10)
LONGEST_RETRY: Final = timedelta(seconds=300)
"""Pauses before a failed instance is started again: the first, doubled each time, the longest."""


# Steps on the host, by units.
@dataclass(frozen=True)
class Pin:
    """Make a generation the one that the instance's unit runs, now and after a reboot."""

    key: InstanceKey
    generation: str


@dataclass(frozen=True)
class Unpin:
    """Take the unit away; a reboot does not start it again."""

    key: InstanceKey


@dataclass(frozen=True)
class Start:
    key: InstanceKey


@dataclass(frozen=True)
class Stop:
    key: InstanceKey


@dataclass(frozen=True)
class Clear:
    """Have systemd forget that the unit failed, so that it can be started."""

    key: InstanceKey


# Changes of the ledger.
@dataclass(frozen=True)
class Insert:
    """A new row: a claimed port, or an instance that runs without one."""

    instance: Instance
    event: str
    canary_of: int | None = None  # the roll-out whose canary it is


@dataclass(frozen=True)
class Put:
    """A changed row; `event` names what happened, None where nobody needs to know, and `detail`
    says more where the row's reason does not."""

    instance: Instance
    event: str | None = None
    detail: str = ""
    canary_of: int | None = None
    watch_again: bool = False  # a canary that stopped for no fault of its own


@dataclass(frozen=True)
class Remove:
    key: InstanceKey


@dataclass(frozen=True)
class Advance:
    """What has come of the service's roll-out."""

    rollout: Rollout
    progress: rollouts.Progress


UnitStep = Pin | Unpin | Start | Stop | Clear
LedgerStep = Insert | Put | Remove | Advance


@dataclass(frozen=True)
class Plan:
    """What is to be done for one service on one host."""

    ledger: tuple[LedgerStep, ...] = ()
    units: tuple[UnitStep, ...] = ()


def plan(cluster: Cluster, facts: HostFacts, figures: ServiceFigures) -> Plan:
    """What the agent of `facts.host` is to do for a service now.

    An instance gets one step at a time; the next follows from what that one led to.
    """
    if figures.name not in cluster.snapshot.services:
        return Plan()
    mine = _Planner(cluster, facts, figures)
    steps = tuple(mine.steps())
    return Plan(
        ledger=tuple(one for one in steps if isinstance(one, LedgerStep)),
        units=tuple(one for one in steps if isinstance(one, UnitStep)),
    )


def retry_pause(attempts: int) -> timedelta:
    """How long a failed instance rests after so many starts in a row that failed."""
    return min(FIRST_RETRY * (1 << min(attempts, 10)), LONGEST_RETRY)


def remembered_after(step: Put | Insert, before: Remembered, facts: HostFacts) -> Remembered:
    """What an agent is to remember of an instance once a step is in the ledger."""
    match step.instance.state, step.event:
        case State.READY, "ready":
            invocation = facts.unit(step.instance.key).invocation
            return replace(before, invocation=invocation, boot=facts.boot)
        case State.FAILED, _:
            return replace(before, invocation="", attempts=before.attempts + 1)
        case State.STARTING, "stopped" | "claimed" | "adopted":
            return Remembered()
        case State.STARTING, _:
            return replace(before, invocation="")
    return before


def forgiven(remembered: Remembered, ready_for: timedelta) -> Remembered:
    """Failed starts do not count any more once an instance was ready for as long as the longest
    pause."""
    return replace(remembered, attempts=0) if ready_for >= LONGEST_RETRY else remembered


class _Planner:
    """The decision for one service on one host."""

    def __init__(self, cluster: Cluster, facts: HostFacts, figures: ServiceFigures) -> None:
        self._cluster = cluster
        self._snapshot = cluster.snapshot
        self._facts = facts
        self._figures = figures
        self._service = figures.name
        self._rollout = rollouts.current(cluster.snapshot, figures.name)
        self._own = [one for one in self._snapshot.of(self._service) if one.host == facts.host]

    def steps(self) -> Iterator[UnitStep | LedgerStep]:
        moves = {one.instance.key: one for one in (*self._rolled(), *self._surplus())}
        found = [
            step
            for one in self._own
            if one.key not in self._facts.busy
            and (step := moves.get(one.key) or self._step(one)) is not None
        ]
        yield from found
        yield from self._adopted()
        yield from self._claims()
        if not any(isinstance(step, LedgerStep) for step in found):
            yield from self._progress()  # judged only by rows that tell what is

    # One instance.

    def _step(self, instance: Instance) -> UnitStep | LedgerStep | None:
        trouble = self._facts.troubles.get(instance.key)
        if trouble is None:
            return self._life(instance) or self._told(instance)
        if instance.state is State.STARTING:
            return self._fail(instance, trouble)
        return self._explain(instance, trouble)

    def _life(self, instance: Instance) -> UnitStep | LedgerStep | None:
        unit = self._facts.unit(instance.key)
        match instance.state:
            case State.STARTING:
                return self._starting(instance, unit)
            case State.READY:
                return self._ready(instance, unit)
            case State.DRAINING:
                return self._draining(instance, unit)
            case State.FAILED:
                return self._failed(instance, unit)

    def _starting(self, instance: Instance, unit: Unit) -> UnitStep | LedgerStep | None:
        key = instance.key
        pin = self._facts.pins.get(key)
        if pin != instance.generation:
            return self._pinned(instance, unit, pin)
        health = self._facts.health.get(key)
        if health is not None and health.failure:
            return self._fail(instance, health.failure)
        match unit.activity:
            case Activity.INACTIVE:
                return Start(key)
            case Activity.FAILED:
                return self._fail(instance, f"its unit failed ({unit.result or 'no result'})")
            case Activity.RUNNING if health is not None and health.passed:
                return Put(replace(instance, state=State.READY, reason=""), "ready")
        return None

    def _pinned(
        self, instance: Instance, unit: Unit, pin: str | None
    ) -> UnitStep | LedgerStep | None:
        """On the way to the pin of the instance's generation."""
        if unit.activity is Activity.FAILED:
            return Clear(instance.key)
        if not unit.has_processes:
            return Pin(instance.key, instance.generation)
        if pin is None:
            return self._fail(
                instance,
                f"{instance.key.unit} runs, but was not started by Stellwerk: stop it",
            )
        return self._stop(instance, unit)

    def _ready(self, instance: Instance, unit: Unit) -> UnitStep | LedgerStep | None:
        key = instance.key
        if unit.activity is Activity.FAILED:
            return self._fail(instance, f"its unit failed ({unit.result or 'no result'})")
        if unit.activity is not Activity.RUNNING or not self._same_process(key):
            return self._again(instance, unit)
        pin = self._facts.pins.get(key)
        if pin is None:
            return Pin(key, instance.generation)
        if pin != instance.generation:
            return Put(replace(instance, generation=pin), "corrected")
        return None

    def _again(self, instance: Instance, unit: Unit) -> LedgerStep:
        """A ready instance that stopped by itself or was restarted: it has to become healthy."""
        remembered = self._facts.remembered.get(instance.key)
        rebooted = remembered is not None and remembered.boot not in ("", self._facts.boot)
        if rebooted:
            reason = f"{instance.host} was started again"
        elif unit.has_processes:
            reason = "its process ended and was started again by systemd"
        else:
            reason = "its unit was stopped, and not by Stellwerk"
        watched = (
            self._rollout is not None
            and self._rollout.canary == instance.key.port
            and self._rollout.canary_since is not None
        )
        return Put(
            replace(
                instance,
                state=State.STARTING,
                reason=reason,
                restarts=instance.restarts + (0 if rebooted else 1),
            ),
            "restarted",
            watch_again=rebooted and watched,
        )

    def _draining(self, instance: Instance, unit: Unit) -> UnitStep | LedgerStep | None:
        key = instance.key
        rolled = instance.purpose is Purpose.ROLL
        stays = rolled and not rollouts.permitted(instance, self._rollout)
        if stays and unit.activity is Activity.RUNNING:
            return self._stay(instance, "its roll-out does not go on")
        if unit.activity is Activity.FAILED:
            return Clear(key)
        if unit.has_processes:
            return self._stop(instance, unit)
        if rolled:
            return Put(self._restarted(instance), "stopped")
        return Unpin(key) if key in self._facts.pins else Remove(key)

    def _restarted(self, instance: Instance) -> Instance:
        """A stopped instance on its way back: with the new generation if the roll-out goes on."""
        fresh = replace(instance, state=State.STARTING, purpose=None, reason="")
        rollout = self._rollout
        if rollout is None or not rollouts.permitted(instance, rollout):
            return replace(fresh, rollout=0)
        return replace(fresh, generation=rollout.generation, rollout=rollout.id)

    def _failed(self, instance: Instance, unit: Unit) -> UnitStep | LedgerStep | None:
        if self._left_as_it_is(instance):
            return None
        remembered = self._facts.remembered.get(instance.key)
        pause = retry_pause(remembered.attempts - 1 if remembered and remembered.attempts else 0)
        if self._snapshot.at - instance.since < pause:
            return None
        if unit.activity is Activity.FAILED:
            return Clear(instance.key)
        if unit.has_processes and instance.key in self._facts.pins:
            return None if unit.activity is Activity.STOPPING else Stop(instance.key)
        restarts = instance.restarts + 1
        return Put(replace(instance, state=State.STARTING, restarts=restarts), "retried")

    def _left_as_it_is(self, instance: Instance) -> bool:
        """The instance that a roll-out failed of is left for people to look at."""
        return (
            self._rollout is not None
            and self._rollout.state is RolloutState.FAILED
            and self._rollout.failed_instance == str(instance.key)
        )

    def _stop(self, instance: Instance, unit: Unit) -> UnitStep | LedgerStep | None:
        """A voluntary stop, once nobody sends the instance requests any more."""
        if unit.activity is Activity.STOPPING:
            return None
        timeout = timedelta(seconds=self._figures.drain_timeout)
        why = self._cluster.keeps_from_stopping(instance, timeout)
        if not why:
            return Stop(instance.key)
        return self._explain(instance, why)

    def _explain(self, instance: Instance, reason: str) -> LedgerStep | None:
        return None if instance.reason == reason else Put(replace(instance, reason=reason))

    def _fail(self, instance: Instance, reason: str) -> LedgerStep:
        return Put(replace(instance, state=State.FAILED, reason=reason), "failed")

    def _stay(self, instance: Instance, reason: str) -> Put:
        rollout = instance.rollout if instance.purpose is Purpose.RETIRE else 0
        ready = replace(instance, state=State.READY, purpose=None, reason="", rollout=rollout)
        return Put(ready, "stays", reason)

    # How many.

    @property
    def _wanted(self) -> int | None:
        """How many instances this host is to have; None where the ledger does not say."""
        count = self._snapshot.desired.get((self._service, self._facts.host))
        if count is None:
            return None
        return count + rollouts.surging(self._snapshot, self._service, self._facts.host)

    @property
    def _staying(self) -> list[Instance]:
        return [one for one in self._own if one.purpose is not Purpose.RETIRE]

    def _surplus(self) -> Iterator[Put]:
        """Instances that are too many begin to leave; those that are needed after all stay."""
        wanted = self._wanted
        if wanted is None:
            return
        staying = self._staying
        surplus = max(0, len(staying) - wanted)
        for one in sorted(staying, key=self._worth)[:surplus]:
            if self._may_retire(one):
                leaves = replace(one, state=State.DRAINING, purpose=Purpose.RETIRE, reason="")
                yield Put(leaves, "retires")
        missing = max(0, wanted - len(staying))
        yield from (self._stay(one, "needed again") for one in self._recallable()[:missing])

    def _worth(self, instance: Instance) -> tuple[bool, bool, bool, int]:
        """What goes first: failed, then of another generation than new ones get, then by port.
        A canary is judged before it goes."""
        generation, _ = rollouts.generation_of_new(self._snapshot, self._service)
        rollout = rollouts.running(self._snapshot, self._service)
        canary = rollout is not None and rollout.canary == instance.key.port
        return (
            instance.state is not State.FAILED,
            canary and not (rollout and rollout.canary_passed),
            instance.generation == generation,
            -instance.key.port,
        )

    def _may_retire(self, instance: Instance) -> bool:
        """Not while balancers are just taking it in, and not the last one that serves."""
        if self._cluster.settling(instance):
            return False
        counts = [n for (name, _), n in self._snapshot.desired.items() if name == self._service]
        return not (any(counts) and self._cluster.last_one(instance))

    def _recallable(self) -> list[Instance]:
        """Retiring instances that can stay: they have not been told to stop."""
        return [
            one
            for one in self._own
            if one.purpose is Purpose.RETIRE
            and one.key not in self._facts.busy
            and self._facts.unit(one.key).activity is Activity.RUNNING
            and self._same_process(one.key)
        ]

    def _claims(self) -> Iterator[Insert]:
        """New instances on the lowest free ports: those that are missing, or one more to take the
        place of a service's only instance."""
        wanted = self._wanted
        if wanted is None:
            return
        recalled = min(len(self._recallable()), max(0, wanted - len(self._staying)))
        missing = max(0, wanted - len(self._staying) - recalled)
        free = self._free_ports()
        generation, rollout = rollouts.generation_of_new(self._snapshot, self._service)
        for port in islice(free, missing):
            yield Insert(self._new(port, generation, rollout), "claimed")
        step = rollouts.next_step(self._cluster, self._service)
        current = self._rollout
        if missing or current is None or step != rollouts.Surge(self._facts.host):
            return
        for port in islice(free, 1):
            extra = self._new(port, current.generation, current.id)
            yield Insert(extra, "claimed", canary_of=current.id)

    def _free_ports(self) -> Iterator[int]:
        """Ports that no row, no pin and no running unit has: what runs unpinned is not ours."""
        for port in self._figures.ports:
            key = InstanceKey(self._service, port)
            taken = key in self._snapshot.instances or key in self._facts.pins
            if not taken and not self._facts.unit(key).has_processes:
                yield port

    def _adopted(self) -> Iterator[Insert]:
        """What is pinned here and has no row: the ledger lost it, and it serves on."""
        for key, generation in self._facts.pins.items():
            missing = key.service == self._service and key not in self._snapshot.instances
            if missing and key.port in self._figures.ports and key not in self._facts.busy:
                yield Insert(self._new(key.port, generation, 0), "adopted")

    def _new(self, port: int, generation: str, rollout: int) -> Instance:
        return Instance(
            key=InstanceKey(self._service, port),
            host=self._facts.host,
            address=self._facts.address,
            generation=generation,
            rollout=rollout,
            state=State.STARTING,
            since=self._snapshot.at,
        )

    # The service's roll-out.

    def _rolled(self) -> Iterator[Put]:
        """The instance that may go next, if it is one of this host's."""
        instance = self._next_one()
        if instance is None or self._rollout is None or self._generation_missing():
            return
        leaves = replace(
            instance,
            state=State.DRAINING,
            purpose=Purpose.ROLL,
            rollout=self._rollout.id,
            reason="",
        )
        canary = self._rollout.id if self._rollout.canary is None else None
        yield Put(leaves, "rolls", canary_of=canary)

    def _told(self, instance: Instance) -> LedgerStep | None:
        """Say why a ready instance whose turn it is does not go, and no longer than it is so."""
        due = self._next_one()
        waits = due is not None and due.key == instance.key
        if waits or instance.state is State.READY:
            return self._explain(instance, self._generation_missing() if waits else "")
        return None

    def _next_one(self) -> Instance | None:
        step = rollouts.next_step(self._cluster, self._service)
        if not isinstance(step, rollouts.Permit) or step.key in self._facts.busy:
            return None
        return next((one for one in self._own if one.key == step.key), None)

    def _generation_missing(self) -> str:
        rollout = self._rollout
        if rollout is None or (self._service, rollout.generation) in self._facts.generations:
            return ""
        return (
            f"generation {rollout.generation[:8]} is not on {self._facts.host}: "
            "run the deploy for this host"
        )

    def _progress(self) -> Iterator[Advance]:
        """What the roll-out has come to. An instance is judged by the agent of its host, which
        knows first how it is and has its journal; by any where that one is lost."""
        progress = rollouts.progress(self._cluster, self._service)
        if progress is None or self._rollout is None:
            return
        judged = rollouts.judged(progress, self._rollout)
        host = self._snapshot.instances[judged].host if judged else self._facts.host
        if host == self._facts.host or self._cluster.lost(host, Role.APPS):
            yield Advance(self._rollout, progress)

    def _same_process(self, key: InstanceKey) -> bool:
        """Whether the unit still runs what became ready; taken as it is where nothing is known."""
        remembered = self._facts.remembered.get(key)
        known = remembered.invocation if remembered else ""
        return known in ("", self._facts.unit(key).invocation)
