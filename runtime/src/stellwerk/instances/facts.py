"""What an agent finds on its own app host: pins, answers of health checks. Types only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stellwerk.host.unit import Unit
from stellwerk.instances.model import InstanceKey


@dataclass(frozen=True)
class Health:
    """What came of an instance's health checks since its unit runs; neither: still being tried."""

    passed: bool = False
    failure: str = ""  # why it counts as failed


@dataclass(frozen=True)
class Remembered:
    """What the agent keeps of an instance over its own restarts."""

    invocation: str = ""  # the one that became ready
    boot: str = ""  # of the host, at that time
    attempts: int = 0  # starts in a row that failed


@dataclass(frozen=True)
class HostFacts:
    """All an agent knows of its host at one moment."""

    host: str
    address: str
    boot: str = ""  # another one after each start of the host
    pins: Mapping[InstanceKey, str] = field(default_factory=dict)  # the pinned generation
    units: Mapping[InstanceKey, Unit] = field(default_factory=dict)
    health: Mapping[InstanceKey, Health] = field(default_factory=dict)
    troubles: Mapping[InstanceKey, str] = field(default_factory=dict)  # why a step did not work
    remembered: Mapping[InstanceKey, Remembered] = field(default_factory=dict)
    busy: frozenset[InstanceKey] = frozenset()  # a step of theirs is being carried out
    generations: frozenset[tuple[str, str]] = frozenset()  # on this host, by service

    def unit(self, key: InstanceKey) -> Unit:
        return self.units.get(key, Unit())
