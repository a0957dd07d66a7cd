"""Single flight: of all that miss an entry, in this process and in others, one loads it.

A flight is a task of its own, so it goes on when the caller that began it is cancelled. Across
processes a lease in Redis decides; it is renewed while the load runs.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from stellwerk.caching.errors import RedisAwayError
from stellwerk.caching.storage import Granted, Held, Place, Present, Storage, Stored
from stellwerk.caching.waking import Waking

Load = Callable[[], Awaitable[Any]]

_RENEWALS_PER_LEASE: Final = 3
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Landed:
    """What a flight brought.

    `current` says whether it was still valid when it was stored: what was invalidated meanwhile is
    good enough for the caller that began the flight, not for one that came after the invalidation.
    """

    value: Any
    current: bool


class Flights:
    """The flights of one layer by key."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[Landed | None]] = {}

    def __contains__(self, key: str) -> bool:
        """Whether an entry is being loaded by this process."""
        return key in self._flights

    def present(self, key: str) -> asyncio.Task[Landed | None] | None:
        """The flight that is under way for an entry."""
        return self._flights.get(key)

    def begin(
        self, key: str, flight: Callable[[], Awaitable[Landed | None]]
    ) -> asyncio.Task[Landed | None]:
        """Let a flight take off; there must be none for this key."""
        task = asyncio.ensure_future(flight())
        self._flights[key] = task
        task.add_done_callback(lambda _: self._end(key, task))
        return task

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = list(self._flights.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: str, task: asyncio.Task[Landed | None]) -> None:
        if self._flights.get(key) is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # a refresh that failed has nobody to tell


@dataclass(frozen=True)
class Tower:
    """Grants leave to load across processes."""

    storage: Storage
    waking: Waking
    lease_ms: int

    async def ask(self, place: Place, tags: tuple[str, ...], seen: bytes) -> Granted | Stored:
        """Leave to load, or what another has loaded meanwhile. Raises RedisAwayError."""
        answer = await self._lease(place, tags, seen)
        if not isinstance(answer, Held):
            return answer.found if isinstance(answer, Present) else answer
        async with self.waking.waiting(place.key) as woken:
            while True:
                woken.clear()
                answer = await self._lease(place, tags, seen)
                if not isinstance(answer, Held):
                    return answer.found if isinstance(answer, Present) else answer
                await _until(woken, answer.milliseconds)

    async def ask_once(
        self, place: Place, tags: tuple[str, ...], seen: bytes
    ) -> Granted | Stored | None:
        """The same, without waiting for others: None while they load."""
        answer = await self._lease(place, tags, seen)
        if isinstance(answer, Held):
            return None
        return answer.found if isinstance(answer, Present) else answer

    @asynccontextmanager
    async def holding(self, place: Place, grant: Granted) -> AsyncIterator[None]:
        """Keep the lease, and give it up where the load fails."""
        renewal = asyncio.create_task(self._renew(place, grant))
        try:
            yield
        except BaseException:
            with contextlib.suppress(RedisAwayError):
                await self.storage.release(place, grant)
            raise
        finally:
            renewal.cancel()

    async def _lease(
        self, place: Place, tags: tuple[str, ...], seen: bytes
    ) -> Granted | Present | Held:
        return await self.storage.lease(place, tags, seen=seen, lease_ms=self.lease_ms)

    async def _renew(self, place: Place, grant: Granted) -> None:
        held = True
        while held:
            await asyncio.sleep(self.lease_ms / 1000 / _RENEWALS_PER_LEASE)
            # Where Redis is away the lease runs out, and what is loaded will not be stored.
            with contextlib.suppress(RedisAwayError):
                held = await self.storage.renew(place, grant, self.lease_ms)


async def _until(woken: asyncio.Event, milliseconds: int) -> None:
    """Wait for the message, or until the lease has ended; not all look again at once."""
    seconds = milliseconds / 1000 * (1 + random.uniform(0, _JITTER))  # noqa: S311
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()
