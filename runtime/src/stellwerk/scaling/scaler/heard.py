"""Who has gone silent, and whether the ledger's clock was set: by the monotonic clock, which no
step of a wall clock moves.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from stellwerk.scaling.records import ClockStep, Pulse

DUE_SECONDS: Final = 10.0
"""So long after a step a new leader sees to it: it may have cost the one before its connection."""

_STEP_SECONDS: Final = 5.0
"""What clocks and answers may differ by without one being taken for set."""


class Heard:
    """Remembers when each agent's sign of life last changed, since `now`."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._moved: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, signs: Mapping[tuple[str, str], float], now: float) -> None:
        """What the ledger says of agents, by host and role."""
        for agent, sign in signs.items():
            if self._moved.get(agent, (None,))[0] != sign:
                self._moved[agent] = (sign, now)

    def silent(
        self, agents: Iterable[tuple[str, str]], now: float, seconds: float
    ) -> frozenset[tuple[str, str]]:
        """Those that have not been heard of for so long."""
        return frozenset(
            agent
            for agent in agents
            if now - self._moved.get(agent, (0.0, self._since))[1] > seconds
        )


class ClockWatch:
    """Compares the ledger's clock with the monotonic one, whoever leads meanwhile."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._newest_event = 0
        self._due: ClockStep | None = None
        self._due_since = 0.0

    def look(self, pulse: Pulse, asked: float, answered: float) -> ClockStep | None:
        """By how much the ledger's clock was set of late, for a leader to see to.

        `pulse` was taken between two moments of the monotonic clock: what took long says little.
        """
        if answered - self._due_since > DUE_SECONDS:
            self._due = None
        if seconds := self._step(pulse.at.timestamp(), asked, answered):
            before = self._due or ClockStep(0.0, self._newest_event)
            self._due = ClockStep(before.seconds + seconds, before.after)
            self._due_since = answered
        self._newest_event = pulse.newest_event
        return self._due

    def seen_to(self, event: int | None) -> None:
        """What was due is done, and an event of this number tells of it; None where another leader
        had done it.
        """
        self._due = None
        self._newest_event = event or self._newest_event

    def _step(self, at: float, asked: float, answered: float) -> float:
        least, most = at - answered, at - asked
        before, now = self._offset, (least + most) / 2
        fits = before is None or least - _STEP_SECONDS <= before <= most + _STEP_SECONDS
        if not fits or most - least < _STEP_SECONDS:
            self._offset = now
        return 0.0 if before is None or fits else now - before
