"""Carries out on an app host what `life_cycle` decides: rows of the ledger, units, health checks.

Nothing is decided here. Whatever is cut short is decided again from what is found the next time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from stellwerk.host.systemd import TIMED_OUT, UnitError, UnitManager
from stellwerk.host.unit import Unit
from stellwerk.instances import rollouts
from stellwerk.instances.agent import health, journal, pins, rows
from stellwerk.instances.agent.memory import Memory
from stellwerk.instances.agent.reach import refusing
from stellwerk.instances.agent.usage import Usage
from stellwerk.instances.availability import Cluster
from stellwerk.instances.configuration import AgentConfiguration, ServiceFigures
from stellwerk.instances.facts import Health, HostFacts
from stellwerk.instances.life_cycle import (
    Advance,
    Clear,
    Insert,
    LedgerStep,
    Pin,
    Plan,
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
from stellwerk.instances.model import Instance, InstanceKey, Snapshot, State
from stellwerk.instances.store import Ledger, LedgerRefusedError, Sample

REST_SECONDS: Final = 10.0
"""How often to look where everything is as it should be; whatever happens is told at once."""

FAILED_SECONDS: Final = 5.0
"""How often to look while the only thing to come is another try of what failed."""

BUSY_SECONDS: Final = 1.0
"""How often to look while something is on its way: time alone may let it go on."""

_TROUBLE_SECONDS: Final = 10.0  # before a step that did not work is tried again
_START_SECONDS: Final = 2.0  # a start is then under way; the unit's state tells the rest
_STOP_MARGIN_SECONDS: Final = 15.0  # over the unit's own bound, after which it is killed
_PIN_SECONDS: Final = 60.0

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Paths:
    """Where things are on the host; other places in tests."""

    state: Path
    units: Path = pins.UNITS
    generations: Path = pins.GENERATIONS


@dataclass(frozen=True)
class _Trouble:
    reason: str
    until: float  # of the monotonic clock


class AppHost:
    """The instances of one host.

    `wake` is called when `converge` is to be called again; `boot` names the host's present boot.
    """

    def __init__(
        self,
        configuration: AgentConfiguration,
        ledger: Ledger,
        units: UnitManager,
        paths: Paths,
        wake: Callable[[], None],
        boot: str,
    ) -> None:
        self.pause = BUSY_SECONDS  # seconds after which to converge though nothing was told
        self._configuration = configuration
        self._ledger = ledger
        self._units = units
        self._paths = paths
        self._wake = wake
        self._memory = Memory(paths.state / "instances.json")
        self._usage = Usage()
        self._boot = boot
        self._followed_from: float | None = None  # of the monotonic clock; None: not in touch
        self._known: Mapping[InstanceKey, Unit] = {}
        self._steps: dict[InstanceKey, asyncio.Task[None]] = {}
        self._watches: dict[InstanceKey, asyncio.Task[None]] = {}
        self._health: dict[InstanceKey, tuple[str, Health]] = {}
        self._troubles: dict[InstanceKey, _Trouble] = {}
        self._refused: frozenset[tuple[str, str]] = frozenset()
        self._refusing_until = 0.0

    async def converge(self, snapshot: Snapshot) -> None:
        """Do what is to be done by `snapshot`, which is to be new. Raises LedgerAwayError and
        UnitError; then what was not written is decided again.
        """
        self._pause_for(snapshot)
        refused = await self._refusing(snapshot)
        cluster = self._cluster(snapshot, refused)
        facts = await self._facts()
        self._settle(snapshot, facts)
        facts = self._with_health(facts)
        moved = False
        for figures in self._configuration.services.values():
            planned = plan(cluster, facts, figures)
            if planned.ledger:
                moved |= await self._write(planned, facts, refused, figures)
            else:
                for step in planned.units:
                    self._begin(step, figures)
        if moved:
            self._wake()

    def samples(self) -> list[Sample]:
        """What the instances use, by the units as they were when last looked at."""
        return self._usage.measure(self._known)

    def status(self) -> str:
        """One line for people, of what runs here."""
        running = sum(unit.has_processes for unit in self._known.values())
        return f"{running} instances run"

    @property
    def watched(self) -> frozenset[InstanceKey]:
        """Instances whose health is being tried."""
        return frozenset(self._watches)

    def stop_watching(self) -> None:
        """Judge nobody while the ledger is away: units are not looked at then, so an instance
        would seem not to get on. What was going on begins anew with the next `converge`, which is
        to be called when the ledger is back.
        """
        self._followed_from = None
        for key in self._watches.keys() | self._health.keys():
            self._forget_health(key)

    async def close(self) -> None:
        """Let go of everything that is under way. Instances run on; systemd ends its jobs."""
        tasks = [*self._steps.values(), *self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cluster(
        self, snapshot: Snapshot, refused: frozenset[tuple[str, str]] = frozenset()
    ) -> Cluster:
        services = self._configuration.services.values()
        return Cluster(
            snapshot=snapshot,
            balancers=tuple(one.name for one in self._configuration.balancers),
            balanced=frozenset(one.name for one in services if one.balancer is not None),
            lost_after=timedelta(seconds=self._configuration.lost_after),
            refusing=refused,
            ports={one.name: one.ports for one in services},
            followed=timedelta(seconds=self._followed()),
        )

    def _followed(self) -> float:
        """For how many seconds the ledger has been here without a break."""
        now = time.monotonic()
        if self._followed_from is None:
            self._followed_from = now
        return now - self._followed_from

    async def _facts(self) -> HostFacts:
        """What is found here now. To be called after the ledger was read: a row that is gone then
        has no pin any more either."""
        services = self._configuration.services
        busy = frozenset(self._steps)  # with those that end meanwhile: what is read may be older
        units = await self._units.states()
        self._known = {
            key: units[key.unit]
            for figures in services.values()
            for key in (InstanceKey(figures.name, port) for port in figures.ports)
            if key.unit in units
        }
        return HostFacts(
            host=self._configuration.host,
            address=self._configuration.address,
            boot=self._boot,
            pins=pins.pins(services, self._paths.units),
            units=self._known,
            troubles={key: one.reason for key, one in self._troubles.items()},
            remembered=self._memory.all,
            busy=busy | frozenset(self._steps),
            generations=pins.generations(services, self._paths.generations),
        )

    def _with_health(self, facts: HostFacts) -> HostFacts:
        health_now = {
            key: found
            for key, (invocation, found) in self._health.items()
            if found.failure or facts.unit(key).invocation == invocation
        }
        return replace(facts, health=health_now)

    # Before the decision: checks that are needed, and what time has done.

    def _settle(self, snapshot: Snapshot, facts: HostFacts) -> None:
        own = {key: one for key, one in snapshot.instances.items() if one.host == facts.host}
        for key in self._memory.all.keys() - own.keys() - facts.pins.keys():
            self._memory.forget(key)
        now = time.monotonic()
        for key, trouble in list(self._troubles.items()):
            if now >= trouble.until and (key not in own or own[key].state is not State.STARTING):
                del self._troubles[key]
        for key in self._watches.keys() | self._health.keys():
            if key not in own or own[key].state is not State.STARTING:
                self._forget_health(key)
        for key, instance in own.items():
            if key.service in self._configuration.services:
                self._settle_one(instance, facts, snapshot)

    def _settle_one(self, instance: Instance, facts: HostFacts, snapshot: Snapshot) -> None:
        key, unit = instance.key, facts.unit(instance.key)
        if instance.state is State.STARTING:
            pinned = facts.pins.get(key) == instance.generation
            stale = key in self._health and self._health[key][1].passed
            if stale and self._health[key][0] != unit.invocation:
                del self._health[key]  # what passed is no more
            if pinned and unit.has_processes and not {key} & (self._watches.keys() | self._health):
                self._watch(key)
        elif instance.state is State.READY:
            remembered = self._memory.of(key)
            if not remembered.invocation and unit.invocation:
                remembered = replace(remembered, invocation=unit.invocation, boot=self._boot)
            self._memory.keep(key, forgiven(remembered, snapshot.at - instance.since))

    def _watch(self, key: InstanceKey) -> None:
        figures = self._configuration.services[key.service]

        async def run() -> None:
            self._health[key] = await health.watch(
                key.port, figures, lambda: self._known.get(key, Unit())
            )

        self._run(self._watches, key, run())

    def _forget_health(self, key: InstanceKey) -> None:
        self._health.pop(key, None)
        watch = self._watches.get(key)
        if watch is not None:
            watch.cancel()

    def _pause_for(self, snapshot: Snapshot) -> None:
        here = self._configuration.host
        states = {one.state for one in snapshot.instances.values() if one.host == here}
        rolling = any(rollouts.running(snapshot, one) for one in self._configuration.services)
        if rolling or states & {State.STARTING, State.DRAINING}:
            self.pause = BUSY_SECONDS
        else:
            self.pause = FAILED_SECONDS if State.FAILED in states else REST_SECONDS

    async def _refusing(self, snapshot: Snapshot) -> frozenset[tuple[str, str]]:
        """Looked up only while somebody may have to wait for it, and not each time."""
        now = time.monotonic()
        if self.pause > BUSY_SECONDS:
            return frozenset()
        if now >= self._refusing_until:
            self._refused = await refusing(self._cluster(snapshot), self._configuration)
            self._refusing_until = now + REST_SECONDS
        return self._refused

    # Rows of the ledger.

    async def _write(
        self,
        planned: Plan,
        facts: HostFacts,
        refused: frozenset[tuple[str, str]],
        figures: ServiceFigures,
    ) -> bool:
        """Decide again under the service's lock, and write that. False if nothing was to write."""
        journals = {
            step.progress.key: await journal.last_lines(step.progress.key.unit)
            for step in planned.ledger
            if isinstance(step, Advance) and isinstance(step.progress, rollouts.Failed)
        }
        try:
            async with self._ledger.locked(figures.name) as transaction:
                cluster = self._cluster(transaction.snapshot, refused)
                steps = plan(cluster, facts, figures).ledger
                for step in steps:
                    await rows.write(step, transaction, journals)
        except LedgerRefusedError as error:
            _logger.error("%s: %s", figures.name, error)
            return False
        for step in steps:
            self._written(step, facts)
        return bool(steps)

    def _written(self, step: LedgerStep, facts: HostFacts) -> None:
        """Remember what a row that is now in the ledger means for the next steps."""
        if isinstance(step, Remove):
            self._memory.forget(step.key)
            _logger.info("%s is no more", step.key)
        if not isinstance(step, Put | Insert) or step.event is None:
            return
        key = step.instance.key
        self._memory.keep(key, remembered_after(step, self._memory.of(key), facts))
        if step.instance.state is State.FAILED:
            self._troubles.pop(key, None)
            self._forget_health(key)
        level = logging.WARNING if step.instance.state is State.FAILED else logging.INFO
        reason = f" ({step.instance.reason})" if step.instance.reason else ""
        _logger.log(level, "%s: %s%s", key, step.event, reason)

    # Units.

    def _begin(self, step: UnitStep, figures: ServiceFigures) -> None:
        self._run(self._steps, step.key, self._carry_out(step, figures))

    async def _carry_out(self, step: UnitStep, figures: ServiceFigures) -> None:
        try:
            trouble = await self._do(step, figures)
        except UnitError as error:
            trouble = str(error)
        if trouble:
            _logger.warning("%s: %s", step.key, trouble)
            until = time.monotonic() + _TROUBLE_SECONDS
            self._troubles[step.key] = _Trouble(trouble, until)
        else:
            self._troubles.pop(step.key, None)

    async def _do(self, step: UnitStep, figures: ServiceFigures) -> str:
        """Carry out a step; empty, or why it did not work."""
        unit = step.key.unit
        match step:
            case Pin(generation=generation):
                here = pins.generations([figures.name], self._paths.generations)
                if (figures.name, generation) not in here:
                    return (
                        f"generation {generation[:8]} is not on {self._configuration.host}: "
                        "run the deploy for this host"
                    )
                return await self._oneshot(pins.pin_unit(step.key, generation))
            case Unpin():
                return await self._oneshot(pins.unpin_unit(step.key))
            case Clear():
                await self._units.reset_failed(unit)
                return ""
            case Start():
                result = await self._units.start(unit, _START_SECONDS)
                # What goes on, or failed, shows in the unit's state.
                fine = result in ("done", "failed", TIMED_OUT)
                return "" if fine else f"the job to start {unit} ended with {result}"
            case Stop():
                seconds = figures.stop_timeout + _STOP_MARGIN_SECONDS
                result = await self._units.stop(unit, seconds)
                return "" if result == "done" else f"the job to stop {unit} ended with {result}"

    async def _oneshot(self, unit: str) -> str:
        result = await self._units.start(unit, _PIN_SECONDS)
        return "" if result == "done" else f"{unit} ended with {result}: see its journal"

    def _run(
        self,
        tasks: dict[InstanceKey, asyncio.Task[None]],
        key: InstanceKey,
        work: Awaitable[None],
    ) -> None:
        async def run() -> None:
            try:
                await work
            finally:
                del tasks[key]
                self._wake()

        tasks[key] = asyncio.get_running_loop().create_task(run(), name=str(key))
