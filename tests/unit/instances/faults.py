"""What can happen to a simulated cluster: faults that end after a while, and what operators do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from hypothesis import strategies as st

from stellwerk.host.unit import Activity
from tests.unit.instances.simulation import GENERATIONS, World

CANARY: Final[dict[str, Any]] = {"canary_seconds": 15, "canary_error_percent": 5.0}

Ending = Callable[[], None]


class Kind(StrEnum):
    """Kinds of events."""

    AGENT_KILLED = "agent killed"
    HOST_OFF = "host off"
    BALANCER_AGENT_KILLED = "balancer agent killed"
    BALANCER_DOWN = "balancer down"
    LEDGER_AWAY = "ledger away"
    CRASH = "crash"
    HELD = "held"
    MORE = "more"
    FEWER = "fewer"
    ROLLOUT = "roll-out"
    RESTART = "restart"


@dataclass(frozen=True)
class Event:
    """Something that happens at a second, to one of the things it can happen to, for a while."""

    second: int
    kind: Kind
    which: int
    seconds: int

    def happen(self, world: World) -> Ending | None:
        """Let it happen; what ends it, if it ends."""
        match self.kind:
            case Kind.AGENT_KILLED:
                host = self._one(list(world.hosts.values()))
                host.kill_agent()
                return lambda: setattr(host, "agent", host.up)
            case Kind.HOST_OFF:
                host = self._one(list(world.hosts.values()))
                host.power_off()
                return lambda: host.power_on(world.second)
            case Kind.BALANCER_AGENT_KILLED:
                balancer = self._one(list(world.balancers.values()))
                balancer.agent = False
                return lambda: setattr(balancer, "agent", True)
            case Kind.BALANCER_DOWN:
                balancer = self._one(list(world.balancers.values()))
                balancer.serves = False
                return lambda: setattr(balancer, "serves", True)
            case Kind.LEDGER_AWAY:
                world.ledger.up = False
                return lambda: setattr(world.ledger, "up", True)
            case Kind.HELD:
                return self._hold(world)
        self._once(world)
        return None

    def _once(self, world: World) -> None:
        match self.kind:
            case Kind.CRASH:
                running = [
                    (host, key)
                    for host in world.hosts.values()
                    for key, unit in sorted(host.units.items())
                    if unit.activity is Activity.RUNNING
                ]
                if running:
                    host, key = self._one(running)
                    host.crash(key, world.second)
            case Kind.MORE | Kind.FEWER:
                place = self._one(sorted(world.ledger.desired))
                change = 1 if self.kind is Kind.MORE else -1
                count = world.ledger.desired[place] + change
                world.ledger.desired[place] = min(4, max(0, count))
            case Kind.ROLLOUT | Kind.RESTART if world.ledger.up:
                service = self._one(sorted(world.services))
                restart = self.kind is Kind.RESTART
                present = world.ledger.services[service].generation
                generation = present if restart else self._one(list(GENERATIONS))
                world.ledger.start_rollout(service, generation, restart=restart, **CANARY)

    def _hold(self, world: World) -> Ending | None:
        rows = world.ledger.instances
        if not rows:
            return None
        key = self._one(sorted(rows))
        rows[key] = replace(rows[key], held=True)

        def release() -> None:
            if key in rows:
                rows[key] = replace(rows[key], held=False)

        return release

    def _one(self, things: list[Any]) -> Any:
        return things[self.which % len(things)]


events = st.lists(
    st.builds(
        Event,
        second=st.integers(0, 240),
        kind=st.sampled_from(Kind),
        which=st.integers(0, 11),
        seconds=st.integers(1, 90),
    ),
    max_size=10,
)


class Course:
    """Events in their order, over a world's seconds."""

    def __init__(self, world: World, plan: list[Event]) -> None:
        self._world = world
        self._start = world.second
        self._waiting = sorted(plan, key=lambda one: one.second)
        self._endings: list[tuple[int, Ending]] = []

    def over(self) -> bool:
        return not self._waiting and not self._endings

    def go_on(self) -> None:
        """Let happen and end what is due."""
        now = self._world.second
        while self._waiting and self._waiting[0].second <= now - self._start:
            event = self._waiting.pop(0)
            ending = event.happen(self._world)
            if ending is not None:
                self._endings.append((now + event.seconds, ending))
        for due in [one for one in self._endings if one[0] <= now]:
            self._endings.remove(due)
            due[1]()
