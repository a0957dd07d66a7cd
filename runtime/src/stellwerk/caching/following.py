"""Every process follows the stream of invalidations with its own cursor.

One that was away reads on where it stopped. Where it cannot know what it missed, all of its copies
are worthless. While it does not follow, its copies are not used.
"""

import asyncio
import contextlib
from typing import Any, Final

from stellwerk.caching import names
from stellwerk.caching.client import RedisClient
from stellwerk.caching.connection import Connection
from stellwerk.caching.errors import CacheError
from stellwerk.caching.invalidating import voided_names
from stellwerk.caching.validity import Validity

_BLOCK_SECONDS: Final = 1.0
_AT_ONCE: Final = 1000
_RETRY_SECONDS: Final = 0.1


class Follower:
    """Reads the stream into a Validity."""

    def __init__(self, client: RedisClient, validity: Validity) -> None:
        self._client = client
        self._validity = validity
        self._cursor: bytes | None = None
        self._number = 0
        self._connection: Connection | None = None
        self.following = False
        """Whether everything that was told so far is known here, but for what is under way."""
        client.on_loss.append(self._stop)

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            with contextlib.suppress(CacheError):
                self._connection = await self._client.another()
                try:
                    await self._follow(self._connection)
                finally:
                    self._stop()
            await asyncio.sleep(_RETRY_SECONDS)

    def _stop(self) -> None:
        self.following = False
        if self._connection is not None:
            self._connection.close()

    async def _follow(self, connection: Connection) -> None:
        await self._catch_up(connection)
        self.following = True
        while True:
            if events := await self._next(connection, block=True):
                self._apply(events)
            elif await _number(connection) != self._number:
                # The stream was evicted, or its server's clock was set back.
                await self._catch_up(connection)

    async def _catch_up(self, connection: Connection) -> None:
        """Read what was missed; forget everything where that can no longer be known."""
        number = await _number(connection)
        is_known = await self._is_known(connection)
        while is_known and (events := await self._next(connection, block=False)):
            self._apply(events)
        if not is_known or self._number < number:
            last = await connection.send("XREVRANGE", names.STREAM, "+", "-", "COUNT", 1)
            self._cursor = last[0][0] if last else b"0-0"
            self._number = int(last[0][1][1]) if last else number
            self._validity.clear()

    async def _is_known(self, connection: Connection) -> bool:
        """Whether the last event that was read is in this server's history, and all before it."""
        if self._cursor is None:
            return False
        found = await connection.send("XRANGE", names.STREAM, self._cursor, self._cursor)
        return bool(found) and int(found[0][1][1]) == self._number

    async def _next(self, connection: Connection, *, block: bool) -> list[Any]:
        wait = ("BLOCK", int(1000 * _BLOCK_SECONDS)) if block else ()
        answer = await connection.send(
            *("XREAD", "COUNT", _AT_ONCE, *wait, "STREAMS", names.STREAM, self._cursor or b"0-0"),
            timeout=_BLOCK_SECONDS + self._client.timeout,
        )
        return answer[0][1] if answer else []

    def _apply(self, events: list[Any]) -> None:
        for event_id, parts in events:
            number = int(parts[1])
            if number != self._number + 1:
                self._validity.clear()
            try:
                self._validity.void(voided_names(parts[3]))
            except CacheError:
                self._validity.clear()
            self._cursor, self._number = event_id, number


async def _number(connection: Connection) -> int:
    """How many events there were."""
    return int(await connection.send("GET", names.COUNTER) or 0)
