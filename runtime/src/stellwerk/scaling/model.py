"""What decisions are made of: what is seen of a service, what is remembered, what is decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from stellwerk.scaling.burst import BurstState
from stellwerk.scaling.series import NOTHING, Series
from stellwerk.settings.scaling import BusinessEvent, Emergency, Idle, Schedule
from stellwerk.settings.scaling_policy import ServicePolicy

CPU = "cpu_percent"
MEMORY = "memory_percent"


class Phase(StrEnum):
    """What an instance is to the scaler. Only one that serves is capacity."""

    STARTING = "starting"  # coming capacity
    SERVING = "serving"  # ready and in rotation
    DRAINING = "draining"  # leaves
    FAILED = "failed"  # did not become or stay healthy


class Direction(StrEnum):
    """Which way the number goes."""

    UP = "up"
    NONE = "none"
    DOWN = "down"


class Hold(StrEnum):
    """What kept a demand from being met in full."""

    SWITCHED_OFF = "switched off"
    PAUSED = "paused"
    MISSING = "missing metrics"
    STABILIZATION = "stabilization"
    COOLDOWN = "cooldown"
    RATE = "rate"
    PROJECTION = "projection"
    UNHEALTHY = "unhealthy"
    EMERGENCY = "emergency"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    LIMIT = "limit over all services"
    NO_HOST = "no app host"


@dataclass(frozen=True)
class Policy:
    """All that holds for a service: its own settings and those over all services."""

    service: str
    minimum: int
    maximum: int
    rules: ServicePolicy = field(default_factory=ServicePolicy)
    emergency: Emergency = field(default_factory=Emergency)
    idle: Idle = field(default_factory=Idle)
    schedule: Schedule = field(default_factory=Schedule)
    events: Mapping[str, BusinessEvent] = field(default_factory=dict)
    event_lead_seconds: float = 0.0  # by which instances for an event come before it begins


@dataclass(frozen=True)
class Reading:
    """An instance as it was seen. `started_at` in seconds since 1970; None if unknown."""

    name: str
    phase: Phase
    started_at: float | None = None
    metrics: Mapping[str, Series] = field(default_factory=dict)

    def series(self, metric: str) -> Series:
        """The samples of a metric; none if it has no such metric."""
        return self.metrics.get(metric, NOTHING)


@dataclass(frozen=True)
class Prediction:
    """How many instances a forecast asks for, ahead of the need."""

    instances: int
    reason: str


@dataclass(frozen=True)
class Foresight:
    """What forecasts say of a service at a moment, also where they are not acted on.

    `instances` is None where there is no forecast. `reason` says what makes it worth acting on, or
    else what keeps it from being acted on.
    """

    instances: int | None
    reason: str
    is_acted_on: bool = False

    @property
    def prediction(self) -> Prediction | None:
        """What is to be acted on."""
        if self.instances is None or not self.is_acted_on:
            return None
        return Prediction(self.instances, self.reason)


@dataclass(frozen=True)
class Observations:
    """What is seen of a service: the count it is to have, its instances, metrics of it as a whole
    (such as a balancer's), and what its forecast asks for, if that may be acted on.
    """

    desired: int
    instances: tuple[Reading, ...] = ()
    metrics: Mapping[str, Series] = field(default_factory=dict)
    prediction: Prediction | None = None

    def of(self, phase: Phase) -> tuple[Reading, ...]:
        """The instances in a phase."""
        return tuple(one for one in self.instances if one.phase is phase)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the count that was made. One that was made for a minimum or a forecast, not
    `by_rules`, is followed by no rest of the rules.
    """

    at: float
    before: int
    after: int
    by_rules: bool = True

    @property
    def amount(self) -> int:
        """Instances added, or removed where negative."""
        return self.after - self.before


@dataclass(frozen=True)
class EmergencyState:
    """An emergency that goes on. Times in seconds since 1970."""

    since: float
    last_breach: float
    last_step: float | None = None
    escalated: bool = False


@dataclass(frozen=True)
class Boost:
    """An operator's wish to treat the load as larger for a while.

    `loads` are the metrics' values when it began; what is used is never less than these times
    `factor`. Raises ValueError for a factor out of 1 to 3 or a time out of 1 to 240 min.
    """

    until: float
    factor: float
    loads: Mapping[str, float]

    @classmethod
    def starting(
        cls, now: float, factor: float, minutes: float, loads: Mapping[str, float]
    ) -> "Boost":
        """One that begins now."""
        if not 1 <= factor <= 3:
            raise ValueError(f"expected a factor from 1 to 3, not {factor:g}")
        if not 1 <= minutes <= 240:
            raise ValueError(f"expected 1 to 240 minutes, not {minutes:g}")
        return cls(now + 60 * minutes, factor, dict(loads))

    def applied(self, metric: str, value: float, now: float) -> float:
        """What a value counts as."""
        if now >= self.until or metric not in self.loads:
            return value
        return max(value, self.loads[metric] * self.factor)


@dataclass(frozen=True)
class Override:
    """An operator's own number, until a time in seconds since 1970 (`scaling set`)."""

    instances: int
    until: float


@dataclass(frozen=True)
class State:
    """What is remembered of a service from one decision to the next.

    `recommendations` are pairs of time and count, oldest first; equal ones in a row are one, with
    the time of the last. `regrets` are the times of removals that were made good again.
    """

    recommendations: tuple[tuple[float, int], ...] = ()
    changes: tuple[Change, ...] = ()
    regrets: tuple[float, ...] = ()
    emergency: EmergencyState | None = None
    raised_maximum: int | None = None  # what an emergency went up to, until it is removed again
    bursts: tuple[tuple[str, BurstState], ...] = ()  # by metric
    windows: frozenset[str] = frozenset()  # of the schedule, that were open
    failures: int = 0  # judgements in a row without metrics
    boost: Boost | None = None
    override: Override | None = None
    paused: bool = False

    def not_after(self, now: float) -> "State":
        """The same where nothing lies in the future: a clock may have been set back."""
        newest = max(
            (
                *(at for at, _ in self.recommendations[-1:]),
                *(change.at for change in self.changes[-1:]),
                *self.regrets[-1:],
                *((self.emergency.last_breach,) if self.emergency else ()),
                *(burst.last_breach for _, burst in self.bursts),
            ),
            default=now,
        )
        if newest <= now:
            return self
        return self.shifted(now - newest)

    def shifted(self, seconds: float) -> "State":
        """The same with all times moved on: the clock was set by so much."""
        emergency = self.emergency and replace(
            self.emergency,
            since=self.emergency.since + seconds,
            last_breach=self.emergency.last_breach + seconds,
            last_step=None
            if self.emergency.last_step is None
            else self.emergency.last_step + seconds,
        )
        return replace(
            self,
            recommendations=tuple((at + seconds, count) for at, count in self.recommendations),
            changes=tuple(replace(one, at=one.at + seconds) for one in self.changes),
            regrets=tuple(at + seconds for at in self.regrets),
            emergency=emergency,
            bursts=tuple(
                (metric, replace(one, last_breach=one.last_breach + seconds))
                for metric, one in self.bursts
            ),
        )


@dataclass(frozen=True)
class Vote:
    """What one rule asks for, and why. `value` is what was measured; None if there is nothing.

    `missing`: not enough is known to remove anything. `abstains`: it never asks for less, and does
    not keep others from it. `urgent`: no rest is kept.
    """

    rule: str
    direction: Direction
    count: int
    value: float | None
    text: str
    missing: bool = False
    abstains: bool = False
    urgent: bool = False


@dataclass(frozen=True)
class Held:
    """What held a demand back, in words."""

    by: Hold
    text: str


@dataclass(frozen=True)
class Decision:
    """What is decided for a service, why, and what is to be remembered."""

    service: str
    at: datetime
    current: int
    desired: int
    demanded: int  # by rules, forecasts and bounds, before anything held it back
    cause: str
    votes: tuple[Vote, ...]
    held: tuple[Held, ...]
    state: State
    serving: int
    starting: int
    in_emergency: bool = False
    escalate: bool = False  # an emergency has lasted too long; said once
    candidates: tuple[str, ...] = ()  # idle instances, the first to go
    undrain: tuple[str, ...] = ()  # draining instances that are wanted again

    @property
    def direction(self) -> Direction:
        """Which way the count goes."""
        if self.desired == self.current:
            return Direction.NONE
        return Direction.UP if self.desired > self.current else Direction.DOWN

    @property
    def sentence(self) -> str:
        """The decision as a sentence: what was measured, what was decided, what held it back."""
        if self.desired == self.current:
            what = f"stays at {self.current}"
        else:
            what = f"goes from {self.current} to {self.desired}"
        text = f"{self.service} {what}: {self.cause}"
        if self.held:
            text += f"; held back: {', '.join(one.text for one in self.held)}"
        return text + "."

    def held_by(self, hold: Hold) -> bool:
        """Whether that held it back."""
        return any(one.by is hold for one in self.held)
