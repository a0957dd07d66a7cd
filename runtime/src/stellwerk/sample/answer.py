"""Read-through: an answer from the cache, else from the store and then kept."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stellwerk.sample.availability import Dependency
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.query import Collection, Query, cache_key


class Store(Dependency, Protocol):
    """Where the data is."""

    async def read(self, query: Query) -> bytes:
        """The rows as a JSON array. Raises UnavailableError."""

    async def events(self, query: EventQuery) -> bytes:
        """The events as a JSON array. Raises UnavailableError."""

    async def append(self, wanted: EventAppend) -> int:
        """Append events; the aggregate's version then. Raises UnavailableError, ConflictError."""


class Cache(Dependency, Protocol):
    """Where answers are kept for a while."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None. Never raises."""

    async def put(self, key: str, value: bytes, lifetime_seconds: int) -> None:
        """Keep the value if possible. Never raises."""


class Source(StrEnum):
    """Where an answer came from; the values are those of the X-Cache header."""

    CACHE = "hit"
    STORE = "miss"


@dataclass(frozen=True)
class Answer:
    """The JSON body of an answer and its source."""

    body: bytes
    source: Source


class Answers:
    """Answers the queries of one service."""

    def __init__(self, service: str, store: Store, cache: Cache) -> None:
        self._service = service
        self._store = store
        self._cache = cache

    async def of(self, collection: Collection, query: Query) -> Answer:
        """The answer to a query. Raises UnavailableError when neither cache nor store has one."""
        key = cache_key(self._service, collection, query)
        cached = await self._cache.get(key)
        if cached is not None:
            return Answer(cached, Source.CACHE)
        rows = await self._store.read(query)
        body = b'{"%b": %b}' % (collection.name.encode(), rows)
        await self._cache.put(key, body, collection.lifetime_seconds)
        return Answer(body, Source.STORE)
