"""Appending and reading events, for services. Versions within an aggregate, one order over all."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from stellwerk.eventstore.errors import ConflictError

ANY_VERSION: Final = None
"""For an append that may follow whatever is there."""

_CONFLICT: Final = "SW001"  # raised by append_events

_Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]


class Place(NamedTuple):
    """Where an event stands in the order over all aggregates."""

    transaction_id: int
    position: int


BEGINNING: Final = Place(0, 0)
"""The place before the first event."""


@dataclass(frozen=True)
class NewEvent:
    """What happened; the payload is anything JSON can hold."""

    event_type: str
    payload: Any


@dataclass(frozen=True)
class Event:
    """An event as it is kept; versions of an aggregate count from 1 without gaps."""

    place: Place
    aggregate_id: str
    version: int
    event_type: str
    timestamp: datetime
    payload: Any


class EventStore:
    """The event store on a connection of a service.

    On a connection that commits by itself each append is durable when `append` returns, and a
    connection that is lost before leaves it unknown: appending again with the same expected version
    either appends or raises ConflictError.
    """

    def __init__(self, connection: _Connection, schema: str = "public") -> None:
        self._connection = connection
        columns = "transaction_id, position, aggregate_id, version, event_type, timestamp, payload"
        names = {"events": sql.Identifier(schema, "events")}
        self._append = sql.SQL("SELECT {}(%s, %s, %s::text[], %s::jsonb[])").format(
            sql.Identifier(schema, "append_events")
        )
        self._of_aggregate = sql.SQL(
            f"SELECT {columns} FROM {{events}} WHERE aggregate_id = %s AND version > %s"  # noqa: S608
            " ORDER BY version LIMIT %s"
        ).format(**names)
        self._after = sql.SQL(
            f"SELECT {columns} FROM {{events}} WHERE (transaction_id, position) > (%s, %s)"  # noqa: S608
            " AND transaction_id < %s ORDER BY transaction_id, position LIMIT %s"
        ).format(**names)
        self._bound = sql.SQL("SELECT {}()").format(sql.Identifier(schema, "event_bound"))

    async def append(
        self, aggregate_id: str, expected_version: int | None, events: Sequence[NewEvent]
    ) -> int:
        """Append all of `events` or none; the version of the last one.

        `expected_version` is that of the aggregate's last event: 0 for a new one, ANY_VERSION for
        whatever it is. In a transaction of the caller's, it must come before all that is written
        there. Raises ConflictError where the version is another, and what psycopg does.
        """
        values = (
            aggregate_id,
            expected_version,
            [event.event_type for event in events],
            [Jsonb(event.payload) for event in events],
        )
        try:
            cursor = await self._connection.execute(self._append, values)
        except psycopg.DatabaseError as error:
            if error.sqlstate != _CONFLICT:
                raise
            raise ConflictError(f"{error.diag.message_primary}.") from None
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def read(
        self, aggregate_id: str, *, after_version: int = 0, limit: int = 1000
    ) -> list[Event]:
        """The events of an aggregate that follow a version, oldest first."""
        return await self._events(self._of_aggregate, (aggregate_id, after_version, limit))

    async def follow(self, after: Place = BEGINNING, limit: int = 1000) -> list[Event]:
        """The events of all aggregates that follow a place; keep the last one's for the next call.

        What is returned is final: no event will ever be found before it. Events of the moment are
        left out while a transaction that appended earlier still runs; nothing else holds them back.
        Positions have gaps where an append was rolled back. To be called outside of a transaction,
        as its two statements need a snapshot each, and on the primary server.
        """
        cursor = await self._connection.execute(self._bound)
        (bound,) = await cursor.fetchone() or (0,)
        return await self._events(self._after, (*after, bound, limit))

    async def all_after(self, after: Place = BEGINNING, batch: int = 1000) -> AsyncIterator[Event]:
        """Every event that `follow` has at present, in batches of so many."""
        while found := await self.follow(after, batch):
            for event in found:
                yield event
            after = found[-1].place

    async def _events(self, query: sql.Composed, values: tuple[Any, ...]) -> list[Event]:
        cursor = await self._connection.execute(query, values)
        return [Event(Place(*row[:2]), *row[2:]) for row in await cursor.fetchall()]
