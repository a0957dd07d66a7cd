"""Read-through: an answer from the cache, else from the store and then kept."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stellwerk.sample.availability import Dependency
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.query import Collection, Query, Question


class Store(Dependency, Protocol):
    """Where the data is."""

    async def read(self, query: Query) -> bytes:
        """The rows as a JSON array. Raises UnavailableError."""

    async def events(self, query: EventQuery) -> bytes:
        """The events as a JSON array. Raises UnavailableError."""

    async def append(self, wanted: EventAppend) -> int:
        """Append events; the aggregate's version then. Raises UnavailableError, ConflictError."""


class Source(StrEnum):
    """Where an answer came from; the values are those of the X-Cache header."""

    CACHE = "hit"
    STORE = "miss"


@dataclass(frozen=True)
class Answer:
    """The JSON body of an answer and its source."""

    body: bytes
    source: Source


Load = Callable[[], Awaitable[bytes]]
"""Makes the body of an answer. Raises UnavailableError."""


class Cache(Dependency, Protocol):
    """Where answers are kept for a while."""

    async def through(self, question: Question, load: Load) -> Answer:
        """The kept answer, else the loaded one, which is kept if possible. Raises what `load`
        raises, and nothing else.
        """


class KeyedCache(ABC):
    """A cache of values by their key."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value, or None. Never raises."""

    @abstractmethod
    async def put(self, key: str, value: bytes, lifetime_seconds: int) -> None:
        """Keep the value if possible. Never raises."""

    async def through(self, question: Question, load: Load) -> Answer:
        """As of `Cache`."""
        cached = await self.get(question.key)
        if cached is not None:
            return Answer(cached, Source.CACHE)
        body = await load()
        await self.put(question.key, body, question.collection.lifetime_seconds)
        return Answer(body, Source.STORE)


class Answers:
    """Answers the queries of one service."""

    def __init__(self, service: str, store: Store, cache: Cache) -> None:
        self._service = service
        self._store = store
        self._cache = cache

    async def of(self, collection: Collection, query: Query) -> Answer:
        """The answer to a query. Raises UnavailableError when neither cache nor store has one."""

        async def load() -> bytes:
            return b'{"%b": %b}' % (collection.name.encode(), await self._store.read(query))

        return await self._cache.through(Question(self._service, collection, query), load)
