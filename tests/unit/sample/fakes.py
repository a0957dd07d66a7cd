"""Stand-ins for PostgreSQL and Redis behind the sample service's HTTP side."""

import json
from dataclasses import asdict

from stellwerk.sample.answer import KeyedCache
from stellwerk.sample.availability import Availability, Reach, UnavailableError
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.query import Query


class FakeStore:
    """A store with one fixed answer, which can be taken away."""

    def __init__(self) -> None:
        self.availability = Availability("PostgreSQL", Reach.REACHABLE)
        self.asked: list[Query] = []
        self.appended: list[EventAppend] = []
        self.failure: Exception | None = None

    def take_away(self) -> None:
        self.availability.lost("taken away")
        self.failure = UnavailableError("PostgreSQL is away and no answer is cached.")

    async def read(self, query: Query) -> bytes:
        self.asked.append(query)
        if self.failure is not None:
            raise self.failure
        return b'[{"id": 1}]'

    async def events(self, query: EventQuery) -> bytes:
        if self.failure is not None:
            raise self.failure
        return json.dumps([asdict(query)]).encode()

    async def append(self, wanted: EventAppend) -> int:
        if self.failure is not None:
            raise self.failure
        self.appended.append(wanted)
        return wanted.expected_version + len(wanted.events)

    async def probe(self) -> None:
        """Nothing to find out."""

    async def close(self) -> None:
        """Nothing to close."""


class FakeCache(KeyedCache):
    """A cache in a dictionary, which can be taken away."""

    def __init__(self) -> None:
        self.availability = Availability("Redis", Reach.REACHABLE)
        self.values: dict[str, bytes] = {}
        self.lifetimes: dict[str, int] = {}

    def take_away(self) -> None:
        self.availability.lost("taken away")

    async def get(self, key: str) -> bytes | None:
        there = self.availability.reach is Reach.REACHABLE
        return self.values.get(key) if there else None

    async def put(self, key: str, value: bytes, lifetime_seconds: int) -> None:
        if self.availability.reach is Reach.REACHABLE:
            self.values[key] = value
            self.lifetimes[key] = lifetime_seconds

    async def probe(self) -> None:
        """Nothing to find out."""

    async def close(self) -> None:
        """Nothing to close."""
