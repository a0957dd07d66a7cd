"""Events of the database: told in the transaction that changes the data, published after its end.

A row of the outbox becomes visible with the commit, so nobody invalidates before the new data can
be read, and a transaction that is rolled back tells nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import psycopg
from psycopg.types.json import Jsonb

from stellwerk.caching.errors import CacheError

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cache_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event text NOT NULL,
    parameters jsonb NOT NULL,
    made timestamptz NOT NULL DEFAULT now()
)
"""
"""The table of events that are to be published."""

_TELL: Final = "INSERT INTO cache_events (event, parameters) VALUES (%s, %s)"
_TAKE: Final = """
DELETE FROM cache_events WHERE id IN (
    SELECT id FROM cache_events ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING id, event, parameters
"""
_AT_ONCE: Final = 500
_POLL_SECONDS: Final = 0.2
"""A poll costs an index look-up; NOTIFY makes all commits of the server wait for each other."""
_RETRY_SECONDS: Final = 1.0

_logger = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[Any]


class Publishes(Protocol):
    """Invalidates what the settings declare for an event."""

    async def invalidate_event(self, event: str, /, **parameters: object) -> bool:
        """False: Redis is away."""


async def tell(connection: Connection, event: str, /, **parameters: str | int) -> None:
    """Tell an event as part of the transaction that is under way on this connection."""
    await connection.execute(_TELL, (event, Jsonb(parameters)))


class OutboxFollower:
    """Publishes the events of one database. Several may run: each event is taken by one."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], cache: Publishes) -> None:
        self.published = 0
        self.unknown = 0
        """Events that the settings do not declare, or whose parameters do not fit; dropped."""
        self._connect = connect
        self._cache = cache

    async def run(self) -> None:
        """Go on for ever, whether the database is there or not."""
        while True:
            try:
                async with await self._connect() as connection:
                    while True:
                        while await self.publish(connection):
                            pass
                        await asyncio.sleep(_POLL_SECONDS)
            except (psycopg.Error, OSError) as error:
                _logger.warning("The outbox cannot be read: %s", " ".join(str(error).split()))
            await asyncio.sleep(_RETRY_SECONDS)

    async def publish(self, connection: Connection) -> int:
        """Publish some events; returns how many. Where Redis is away they stay for later."""
        async with connection.transaction():
            cursor = await connection.execute(_TAKE, (_AT_ONCE,))
            rows = sorted(await cursor.fetchall())
            for _, event, parameters in rows:
                if not await self._publish(event, parameters):
                    raise psycopg.Rollback
            self.published += len(rows)
            return len(rows)
        return 0

    async def _publish(self, event: str, parameters: dict[str, Any]) -> bool:
        try:
            return await self._cache.invalidate_event(event, **parameters)
        except CacheError as error:
            # It would never fit, and those behind it have to go on.
            _logger.error("The event %s of the outbox is dropped: %s", event, error)
            self.unknown += 1
            return True
