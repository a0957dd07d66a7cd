"""Whether a server that the service leans on can be used, and the loop that keeps finding out.

A request that meets a dead server says so here; the loop brings the server back. So no request
waits for one that is known to be away.
"""

import asyncio
import contextlib
import logging
from enum import StrEnum
from typing import Final, Protocol

PROBE_SECONDS: Final = 2.0
"""How often a server that can be used is looked at."""

_RETRY_SECONDS: Final = 0.5

_logger = logging.getLogger(__name__)


class Reach(StrEnum):
    """What is known of a server; the values are shown in the health answer."""

    UNKNOWN = "not asked yet"
    REACHABLE = "reachable"
    AWAY = "away"
    WITHOUT_DATA = "without data"
    NOT_CONFIGURED = "not configured"


class UnavailableError(Exception):
    """An answer needs a server that cannot be used now; the message is a sentence for the asker."""


class Availability:
    """The present reach of one server. Changes are logged once."""

    def __init__(self, name: str, reach: Reach = Reach.UNKNOWN) -> None:
        self.name = name
        self._reach = reach
        self._reason = ""
        self._lost = asyncio.Event()

    @property
    def reach(self) -> Reach:
        """What is known now."""
        return self._reach

    def found(self) -> None:
        """The server answered."""
        if self._reach is not Reach.REACHABLE:
            _logger.info("%s is reachable.", self.name)
        self._reach, self._reason = Reach.REACHABLE, ""

    def lost(self, reason: str, reach: Reach = Reach.AWAY) -> None:
        """The server cannot be used, for this reason; wakes the loop to look again at once."""
        if self._reach is Reach.REACHABLE:
            self._lost.set()
        if (reach, reason) != (self._reach, self._reason):
            _logger.warning("%s is %s: %s", self.name, reach, reason)
        self._reach, self._reason = reach, reason

    async def lost_within(self, seconds: float) -> None:
        """Return when the server is lost, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        self._lost.clear()


class Dependency(Protocol):
    """A server with its availability."""

    @property
    def availability(self) -> Availability:
        """Where its reach is kept."""

    async def probe(self) -> None:
        """Find out whether it can be used, in bounded time, and note it in `availability`. Never
        raises.
        """

    async def close(self) -> None:
        """Give up the connections."""


async def watch(dependency: Dependency) -> None:
    """Probe for ever: seldom while the server can be used, at once and often when it is lost."""
    while True:
        reachable = dependency.availability.reach is Reach.REACHABLE
        await dependency.availability.lost_within(PROBE_SECONDS if reachable else _RETRY_SECONDS)
        await dependency.probe()
