# ruff: noqa: ARG002 - the arguments are those of Storage, used or not
"""Storage in memory, with every request and every answer as late as a test's chance wants it.

It says in Python what the Lua scripts do, and has to follow them by hand.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stellwerk.caching import names
from stellwerk.caching.globs import matches
from stellwerk.caching.storage import Granted, Held, Place, Plan, Present, Put, Stored

Pause = Callable[[], Awaitable[None]]


@dataclass
class _Value:
    envelope: bytes
    stamps: tuple[bytes, ...]


@dataclass
class MemoryServer:
    """What all nodes share."""

    values: dict[str, _Value] = field(default_factory=dict)
    stamps: dict[str, bytes] = field(default_factory=dict)
    leases: dict[str, bytes] = field(default_factory=dict)
    tagged: dict[str, set[str]] = field(default_factory=dict)
    events: list[bytes] = field(default_factory=list)
    waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    clock: int = 0
    tokens: int = 0

    def token(self) -> bytes:
        """One that nobody had before."""
        self.tokens += 1
        return self.tokens.to_bytes(8, "big")

    def stamp(self, name: str) -> bytes:
        """The present stamp, made where there is none."""
        return self.stamps.setdefault(name, self.token())

    def wake(self, key: str) -> None:
        """Tell those who wait for an entry."""
        for event in self.waiting.get(key, ()):
            event.set()

    def put(
        self, place: Place, tags: Sequence[str], envelope: bytes, stamps: Sequence[bytes]
    ) -> Put:
        """Store an entry and end its lease."""
        self.values[place.key] = _Value(envelope, tuple(stamps[:-1]))
        self.leases.pop(place.key, None)
        for tag in tags:
            self.tagged.setdefault(tag, set()).add(place.key)
        self.wake(place.key)
        return Put(stored=True)


@dataclass
class MemoryStorage:
    """One node's way to the server."""

    server: MemoryServer
    pause: Pause
    available: bool = True

    def now(self) -> int:
        """A clock that never stands still."""
        self.server.clock += 1
        return self.server.clock

    async def read(self, place: Place) -> Stored | None:
        """The entry, without a look at its tags' stamps."""
        await self.pause()
        found = self._current(place)
        await self.pause()
        return found

    async def read_many(
        self, parts: Iterable[Sequence[Place]]
    ) -> AsyncIterator[list[Stored | None]]:
        """The entries of many places, part by part."""
        for part in parts:
            await self.pause()
            found = [self._current(place) for place in part]
            await self.pause()
            yield found

    async def tag_stamps(self, tags: Sequence[str]) -> bytes:
        """The present stamps of tags."""
        await self.pause()
        stamps = b"".join(self.server.stamps.get(names.tag(tag), bytes(8)) for tag in tags)
        await self.pause()
        return stamps

    async def lease(
        self, place: Place, tags: Sequence[str], *, seen: bytes, lease_ms: int, force: bool = False
    ) -> Granted | Present | Held:
        """Ask leave to load the entry."""
        await self.pause()
        answer = self._lease(place, tags, seen, lease_ms, force)
        await self.pause()
        return answer

    async def store(
        self, place: Place, tags: Sequence[str], grant: Granted, envelope: bytes, lifetime_ms: int
    ) -> Put:
        """Store what was loaded, unless it was invalidated meanwhile."""
        await self.pause()
        server = self.server
        put = Put(stored=False)
        if server.leases.get(place.key) == grant.token:
            stamps = tuple(server.stamps.get(name) for name in _stamps(place, tags))
            if stamps == grant.stamps:
                put = server.put(place, tags, envelope, grant.stamps)
            else:
                del server.leases[place.key]
                server.wake(place.key)
        await self.pause()
        return put

    async def write(
        self,
        place: Place,
        tags: Sequence[str],
        envelope: bytes,
        lifetime_ms: int,
        event: bytes = b"",
    ) -> Put:
        """Write an entry whatever is there."""
        await self.pause()
        stamps = [self.server.stamp(name) for name in _stamps(place, tags)]
        put = self.server.put(place, tags, envelope, stamps)
        if event:
            self.server.events.append(event)
        await self.pause()
        return put

    async def renew(self, place: Place, grant: Granted, lease_ms: int) -> bool:
        """Keep the lease."""
        await self.pause()
        return self.server.leases.get(place.key) == grant.token

    async def release(self, place: Place, grant: Granted) -> None:
        """Give the lease up."""
        await self.pause()
        if self.server.leases.get(place.key) == grant.token:
            del self.server.leases[place.key]
            self.server.wake(place.key)

    async def confirm(self, place: Place, write_id: bytes, event: bytes) -> bool:
        """The source has this writing now."""
        await self.pause()
        self.server.leases.pop(place.key, None)
        self.server.wake(place.key)
        value = self.server.values.get(place.key)
        if value is not None and value.envelope.startswith(write_id):
            return True
        self.server.values.pop(place.key, None)
        self.server.events.append(event)
        return False

    def leave(self, reason: str) -> None:
        """This server is never away."""

    async def invalidate(self, plan: Plan, event: bytes) -> bytes:
        """Delete what the plan names."""
        await self.pause()
        server = self.server
        if event:
            server.events.append(event)
        for name in (*plan.stamps, *map(names.tag, plan.tags)):
            server.stamps.pop(name, None)
        for place in plan.places:
            server.values.pop(place.key, None)
            server.leases.pop(place.key, None)
            server.wake(place.key)
        for tag in plan.tags:
            await self.pause()
            for key in server.tagged.pop(tag, ()):
                server.values.pop(key, None)
        await self.pause()
        return b""

    async def touch(self, layer: str, used: Sequence[tuple[str, int]]) -> None:
        """Nothing is evicted here."""

    async def memory(self, layer: str) -> int:
        """Nothing is accounted here."""
        return 0

    async def scan(self, glob: str) -> AsyncIterator[list[str]]:
        """All keys that match; those that come while it looks may be missed."""
        for key in list(self.server.values):
            await self.pause()
            if matches(glob, key):
                yield [key]

    def _current(self, place: Place) -> Stored | None:
        value = self.server.values.get(place.key)
        stamps = [self.server.stamps.get(name) for name in place.stamps]
        if value is None or list(value.stamps[: len(stamps)]) != stamps:
            return None
        tag_stamps = b"".join(value.stamps[len(stamps) :])
        return Stored(tag_stamps + value.envelope, 0, len(tag_stamps))

    def _lease(
        self, place: Place, tags: Sequence[str], seen: bytes, lease_ms: int, force: bool
    ) -> Granted | Present | Held:
        server = self.server
        found = self._current(place)
        if force:
            server.values.pop(place.key, None)
        elif found is not None and found.write_id != seen:
            return Present(found)
        elif place.key in server.leases:
            return Held(lease_ms)
        token = server.leases[place.key] = server.token()
        return Granted(token, tuple(server.stamp(name) for name in _stamps(place, tags)))


@dataclass
class MemoryWaking:
    """Wakes those who wait at the same server."""

    server: MemoryServer

    def waiting(self, key: str) -> contextlib.AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set when the entry's lease ends."""
        return self._waiting(key)

    @asynccontextmanager
    async def _waiting(self, key: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        self.server.waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self.server.waiting[key].discard(event)


def _stamps(place: Place, tags: Sequence[str]) -> tuple[str, ...]:
    return (*place.stamps, *map(names.tag, tags), place.guard)
