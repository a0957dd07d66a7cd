"""What the cache asks of Redis, each in one round trip. Values are opaque bytes here.

An entry is stored behind the stamps it was made under; one whose stamps are no longer there is
none.
"""

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Final, Protocol

import msgspec

from stellwerk.caching import names
from stellwerk.caching.client import RedisClient, Session
from stellwerk.caching.connection import Word
from stellwerk.caching.envelope import WRITE_ID_BYTES
from stellwerk.caching.globs import for_redis
from stellwerk.caching.merging import MergedReads
from stellwerk.caching.scripts import (
    CONFIRM,
    INVALIDATE,
    LEASE,
    RECLAIM,
    RELEASE,
    RENEW,
    STORE,
    WRITE,
)

STAMP_BYTES: Final = 8
_STAMP_MARGIN_MS: Final = 600_000
"""A stamp outlives the entries under it by this, and a load may take as long."""
_RECLAIM_AT_ONCE: Final = 1000
_SCAN_COUNT: Final = 1000
"""Of 100,000 keys: 104 ms in all, and others wait 2.4 ms at most; 10 would take 1.7 s."""
_TOO_LARGE, _REFUSED = -1, -2


# Places and what is found there are made by the hundred: a Struct takes 0.08 µs, a tuple with names
# 0.3 µs. They hold text and numbers only, so the garbage collector need not look at them.
class Place(msgspec.Struct, frozen=True, gc=False):
    """An entry's key, the stamps it stands under, and the layer it is accounted in."""

    key: str
    stamps: tuple[str, ...]
    guard: str
    layer: str
    budget: int | None = None

    def depends_on(self, tags: Iterable[str] = ()) -> tuple[str, ...]:
        """Every name whose invalidation makes the entry worthless."""
        return (self.key, *self.stamps, *map(names.tag, tags))


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An entry as it was found: from `tags` on the stamps of its tags, from `begin` on its
    envelope.
    """

    data: bytes
    tags: int
    begin: int

    @property
    def tag_stamps(self) -> bytes:
        """The stamps of its tags when it was written, one after the other."""
        return self.data[self.tags : self.begin]

    @property
    def envelope(self) -> bytes:
        """The value sealed."""
        return self.data[self.begin :]

    @property
    def write_id(self) -> bytes:
        """What tells this writing of the entry from others."""
        return self.data[self.begin : self.begin + WRITE_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Granted:
    """Leave to load, and the stamps to store under."""

    token: bytes
    stamps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody has stored an entry meanwhile."""

    found: Stored


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else loads; their lease ends in so many milliseconds unless they renew it."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a write: whether it is there, and how many other entries had to go."""

    stored: bool
    evicted: int = 0
    too_large: bool = False


@dataclass(frozen=True)
class Plan:
    """What an invalidation deletes: stamps, entries, tags, and what has to be looked for."""

    stamps: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    tags: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    """Names that only the processes' own copies depend on."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that loses its validity."""
        keys = tuple(place.key for place in self.places)
        return (*self.stamps, *keys, *map(names.tag, self.tags), *self.drops)


class Storage(Protocol):
    """What the cache asks of Redis. Every method raises RedisAwayError where Redis is away."""

    @property
    def available(self) -> bool:
        """Whether it answers now."""

    def now(self) -> int:
        """The server's clock in milliseconds."""

    async def read(self, place: Place) -> Stored | None:
        """The entry, without a look at its tags' stamps."""

    def read_many(self, parts: Iterable[Sequence[Place]]) -> AsyncIterator[list[Stored | None]]:
        """The entries of many places, part by part."""

    async def tag_stamps(self, tags: Sequence[str]) -> bytes:
        """The present stamps of tags, one after the other."""

    async def lease(
        self, place: Place, tags: Sequence[str], *, seen: bytes, lease_ms: int, force: bool = False
    ) -> Granted | Present | Held:
        """Ask leave to load the entry, replacing the writing `seen` of it."""

    async def store(
        self, place: Place, tags: Sequence[str], grant: Granted, envelope: bytes, lifetime_ms: int
    ) -> Put:
        """Store what was loaded, unless it was invalidated meanwhile."""

    async def write(
        self,
        place: Place,
        tags: Sequence[str],
        envelope: bytes,
        lifetime_ms: int,
        event: bytes = b"",
    ) -> Put:
        """Write an entry whatever is there; an event tells other processes."""

    async def renew(self, place: Place, grant: Granted, lease_ms: int) -> bool:
        """Keep the lease; False: it is lost."""

    async def release(self, place: Place, grant: Granted) -> None:
        """Give the lease up."""

    async def confirm(self, place: Place, write_id: bytes, event: bytes) -> bool:
        """The source has this writing now: end loads that began before. False: the entry was
        another writing, and was deleted.
        """

    async def invalidate(self, plan: Plan, event: bytes) -> bytes:
        """Delete what the plan names, and tell every process; returns the id of the event."""

    def leave(self, reason: str) -> None:
        """Use Redis no more until it was connected to again."""

    async def touch(self, layer: str, used: Sequence[tuple[str, int]]) -> None:
        """Note when entries of a layer with a budget were last used."""

    async def memory(self, layer: str) -> int:
        """The bytes that a layer with a budget takes, its accounts included."""

    def scan(self, glob: str) -> AsyncIterator[list[str]]:
        """All keys that match, some at a time, by Redis' reading of the pattern."""


@dataclass
class RedisStorage:
    """Storage on a Redis server."""

    client: RedisClient
    stream_length: int

    def __post_init__(self) -> None:
        """Begin with no reads under way."""
        self._reads = MergedReads(self.client)

    @property
    def available(self) -> bool:
        """Whether it answers now."""
        return self.client.connected

    def now(self) -> int:
        """The server's clock in milliseconds."""
        return self.client.now()

    async def read(self, place: Place) -> Stored | None:
        """The entry, without a look at its tags' stamps."""
        return _current(*await self._reads.read(place))

    async def read_many(
        self, parts: Iterable[Sequence[Place]]
    ) -> AsyncIterator[list[Stored | None]]:
        """The entries of many places, part by part."""
        async for found in self._reads.read_many(parts):
            yield list(starmap(_current, found))

    async def tag_stamps(self, tags: Sequence[str]) -> bytes:
        """The present stamps of tags, one after the other."""
        stamps = await self.client.session.send("MGET", *map(names.tag, tags))
        return b"".join(stamp or bytes(STAMP_BYTES) for stamp in stamps)

    async def lease(
        self, place: Place, tags: Sequence[str], *, seen: bytes, lease_ms: int, force: bool = False
    ) -> Granted | Present | Held:
        """Ask leave to load the entry, replacing the writing `seen` of it."""
        token = os.urandom(STAMP_BYTES)
        arguments = (token, lease_ms, _STAMP_MARGIN_MS, seen, len(place.stamps), int(force))
        answer, *rest = await self.client.session.run(LEASE, _keys(place, tags), arguments)
        if answer == 0:
            return Held(max(rest[0], 1))
        if answer == 2:
            return Present(_stored(rest[0], len(place.stamps)))
        return Granted(token, tuple(rest))

    async def store(
        self, place: Place, tags: Sequence[str], grant: Granted, envelope: bytes, lifetime_ms: int
    ) -> Put:
        """Store what was loaded, unless it was invalidated meanwhile."""
        stamps = grant.stamps
        put = self._put(place, tags, envelope, lifetime_ms)
        arguments = (grant.token, len(stamps), *stamps, *put)
        return _outcome(await self.client.session.run(STORE, _keys(place, tags), arguments))

    async def write(
        self,
        place: Place,
        tags: Sequence[str],
        envelope: bytes,
        lifetime_ms: int,
        event: bytes = b"",
    ) -> Put:
        """Write an entry whatever is there; an event tells other processes."""
        stream = (names.STREAM, names.COUNTER, self.stream_length, event)
        put = self._put(place, tags, envelope, lifetime_ms)
        arguments = (os.urandom(STAMP_BYTES), *stream, *put)
        return _outcome(await self.client.session.run(WRITE, _keys(place, tags), arguments))

    async def renew(self, place: Place, grant: Granted, lease_ms: int) -> bool:
        """Keep the lease; False: it is lost."""
        lease = names.lease(place.key)
        return bool(await self.client.session.run(RENEW, (lease,), (grant.token, lease_ms)))

    async def release(self, place: Place, grant: Granted) -> None:
        """Give the lease up."""
        arguments = (grant.token, names.wake(place.key))
        await self.client.session.run(RELEASE, (names.lease(place.key),), arguments)

    async def confirm(self, place: Place, write_id: bytes, event: bytes) -> bool:
        """The source has this writing now: end loads that began before. False: the entry was
        another writing, and was deleted.
        """
        return await confirm(self.client.session, place, write_id, event, self.stream_length)

    def leave(self, reason: str) -> None:
        """Use Redis no more until it was connected to again."""
        self.client.leave(reason)

    async def invalidate(self, plan: Plan, event: bytes) -> bytes:
        """Delete what the plan names, and tell every process; returns the id of the event."""
        return await invalidate(self.client.session, plan, event, self.stream_length)

    async def touch(self, layer: str, used: Sequence[tuple[str, int]]) -> None:
        """Note when entries of a layer with a budget were last used."""
        words: list[Word] = [word for key, when in used for word in (when, key)]
        await self.client.session.send("ZADD", f"{names.account(layer)}:used", "XX", *words)

    async def memory(self, layer: str) -> int:
        """The bytes that a layer with a budget takes, its accounts included."""
        return int(await self.client.session.send("HGET", f"{names.account(layer)}:sizes", "") or 0)

    async def scan(self, glob: str) -> AsyncIterator[list[str]]:
        """All keys that match, some at a time, by Redis' reading of the pattern."""
        cursor = b"0"
        while True:
            words = ("SCAN", cursor, "MATCH", for_redis(glob), "COUNT", _SCAN_COUNT)
            cursor, keys = await self.client.session.send(*words)
            yield [key.decode("utf-8", "replace") for key in keys]
            if cursor == b"0":
                return

    def _put(
        self, place: Place, tags: Sequence[str], envelope: bytes, lifetime_ms: int
    ) -> tuple[Word, ...]:
        """The arguments of put in common.lua."""
        limited = place.budget is not None
        return (
            envelope,
            lifetime_ms,
            lifetime_ms + _STAMP_MARGIN_MS,
            len(place.stamps) + len(tags),
            names.account(place.layer) if limited else "",
            place.budget or 0,
            self.now(),
            names.wake(place.key),
            place.layer if limited else "",
            *map(names.tagged, tags),
        )


async def invalidate(session: Session, plan: Plan, event: bytes, stream_length: int) -> bytes:
    """Carry a plan out, and tell every process; returns the id of the event.

    Raises RedisAwayError, after which part of it may have been done.
    """
    stamps = (*plan.stamps, *map(names.tag, plan.tags))
    keys: list[Word] = [names.STREAM, names.COUNTER, *stamps]
    arguments: list[Word] = [stream_length, event, len(stamps)]
    for place in plan.places:
        keys += (place.key, names.lease(place.key))
        limited = place.budget is not None
        arguments += (names.account(place.layer) if limited else "", names.wake(place.key))
    event_id: bytes = await session.run(INVALIDATE, keys, arguments)
    for tag in plan.tags:
        while await session.run(RECLAIM, (names.tagged(tag),), (_RECLAIM_AT_ONCE, names.ACCOUNTS)):
            pass
    return event_id


async def confirm(
    session: Session, place: Place, write_id: bytes, event: bytes, stream_length: int
) -> bool:
    """See Storage.confirm."""
    keys = (place.key, names.lease(place.key), names.STREAM, names.COUNTER)
    account = "" if place.budget is None else names.account(place.layer)
    arguments = (write_id, stream_length, event, account, names.wake(place.key))
    return bool(await session.run(CONFIRM, keys, arguments))


async def has_event(session: Session, event_id: bytes, event: bytes) -> bool:
    """Whether this server's history has an event. Raises RedisAwayError."""
    found = await session.send("XRANGE", names.STREAM, event_id, event_id)
    return bool(found) and found[0][1][3] == event


def _keys(place: Place, tags: Sequence[str]) -> tuple[str, ...]:
    """Entry, lease and stamps as the scripts take them; the guard is last, outside the entry."""
    return (
        place.key,
        names.lease(place.key),
        *place.stamps,
        *map(names.tag, tags),
        place.guard,
    )


def _outcome(answer: int) -> Put:
    if answer == _REFUSED:
        return Put(stored=False)
    if answer == _TOO_LARGE:
        return Put(stored=False, too_large=True)
    return Put(stored=True, evicted=answer)


def _current(data: bytes | None, stamps: bytes | None) -> Stored | None:
    """What is stored, where it stands under the present stamps."""
    if data is None or stamps is None or not data.startswith(stamps, 1):
        return None
    return Stored(data, 1 + len(stamps), 1 + STAMP_BYTES * data[0])


def _stored(data: bytes, fixed: int) -> Stored:
    """The same where that was looked at before."""
    return Stored(data, 1 + STAMP_BYTES * fixed, 1 + STAMP_BYTES * data[0])
