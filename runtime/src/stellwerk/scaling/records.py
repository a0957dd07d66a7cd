"""What the ledger keeps of scaling, as types: orders, memories, decisions, findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from stellwerk.instances.model import InstanceKey, Snapshot
from stellwerk.instances.store import Capacity
from stellwerk.scaling.model import State
from stellwerk.scaling.series import Series

CPU_OF_A_CORE = "cpu_percent_of_a_core"
MEMORY_BYTES = "memory_bytes"


@dataclass(frozen=True)
class Order:
    """What an operator has told the scaler of a service: to have so many until a time, or, without
    a number, to leave it alone, until a time or for good.
    """

    service: str
    instances: int | None
    until: datetime | None
    given_by: str
    given_at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether it is to be followed still."""
        return self.until is None or now < self.until


@dataclass(frozen=True)
class Memory:
    """What is remembered of a service. `standing` are troubles that people have been told of."""

    state: State = field(default_factory=State)
    standing: frozenset[str] = frozenset()

    def shifted(self, seconds: float) -> "Memory":
        """The same with all times moved on."""
        return replace(self, state=self.state.shifted(seconds))


@dataclass(frozen=True)
class Judged:
    """A judgement to be written: what it was made from, and what follows from it.

    `counts` are the wanted numbers by host where they differ from `counts_before`.
    """

    service: str
    at: datetime
    before: int
    after: int
    sentence: str
    inputs: Mapping[str, Any]
    bounds: tuple[int, int]
    memory: Memory
    counts_before: Mapping[str, int]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class DecisionRow:
    """A decision as it was written."""

    id: int
    at: datetime
    service: str
    before: int
    after: int
    sentence: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class ScalerSign:
    """A scaler that is connected to the ledger."""

    host: str
    leads: bool


@dataclass(frozen=True)
class Pulse:
    """The quick look between judgements: the ledger's clock, when each agent was heard of by its
    host and role, a text that is another one when an order was given or taken back, and the number
    of the newest event.
    """

    at: datetime
    agents: Mapping[tuple[str, str], float]
    orders: str
    newest_event: int


@dataclass(frozen=True)
class ClockStep:
    """The ledger's clock was moved on by so many seconds, after an event of this number."""

    seconds: float
    after: int


@dataclass(frozen=True)
class Findings:
    """All that the ledger knows for a judgement.

    `series` are what was measured of each instance: `CPU_OF_A_CORE`, `MEMORY_BYTES`, and its own
    metrics by their names. `answered_at` is when each last answered the leading scaler.
    """

    snapshot: Snapshot
    memories: Mapping[str, Memory] = field(default_factory=dict)
    judged_at: Mapping[str, datetime] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    series: Mapping[InstanceKey, Mapping[str, Series]] = field(default_factory=dict)
    capacities: Mapping[str, Capacity] = field(default_factory=dict)
    answered_at: Mapping[InstanceKey, datetime] = field(default_factory=dict)
