"""Who has gone silent, and whether the ledger's clock was set: by the monotonic clock, which no
step of a wall clock moves.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

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
    """Compares the ledger's clock with the monotonic one."""

    def __init__(self) -> None:
        self._offset: float | None = None

    def step(self, at: datetime, asked: float, answered: float) -> float:
        """By how many seconds the ledger's clock was set since the last look; 0 where it was not.
        It said `at` between two moments of the monotonic clock: what took long says little.
        """
        least, most = at.timestamp() - answered, at.timestamp() - asked
        before, now = self._offset, (least + most) / 2
        fits = before is None or least - _STEP_SECONDS <= before <= most + _STEP_SECONDS
        if not fits or most - least < _STEP_SECONDS:
            self._offset = now
        return 0.0 if before is None or fits else now - before
