"""Waiting for an entry that another process loads: woken by a message, not by polling."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from stellwerk.caching import names
from stellwerk.caching.client import RedisClient
from stellwerk.caching.connection import Connection, Reply
from stellwerk.caching.errors import RedisAwayError


class Waking(Protocol):
    """Tells when somebody is done with an entry."""

    def waiting(self, key: str) -> contextlib.AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set when the entry's lease ends, from the moment of entering on."""


@dataclass
class _Waiter:
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0


class Waker:
    """One subscription for all that wait in this process.

    Without a connection nobody is woken, and everybody looks again when the lease has ended.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._waiters: dict[bytes, _Waiter] = {}

    @asynccontextmanager
    async def waiting(self, key: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the entry's lease ends, from the moment of entering on."""
        channel = names.wake(key).encode()
        waiter = self._waiters.setdefault(channel, _Waiter())
        waiter.users += 1
        try:
            with contextlib.suppress(RedisAwayError, TimeoutError):
                await self._subscribe(channel, waiter)
            yield waiter.woken
        finally:
            waiter.users -= 1
            if not waiter.users:
                self._waiters.pop(channel, None)
                if self._connection is not None:
                    self._connection.listen(self._hear, "UNSUBSCRIBE", channel)

    def close(self) -> None:
        """Give the subscription up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _subscribe(self, channel: bytes, waiter: _Waiter) -> None:
        async with self._connecting:
            if self._connection is None or self._connection.lost.done():
                self._connection = await self._client.another()
        if waiter.users == 1:
            self._connection.listen(self._hear, "SUBSCRIBE", channel)
        async with asyncio.timeout(self._client.timeout):
            await waiter.listening.wait()

    def _hear(self, reply: Reply) -> None:
        if not isinstance(reply, list):
            return
        waiter = self._waiters.get(reply[1])
        if waiter is None:
            return
        if reply[0] == b"message":
            waiter.woken.set()
        elif reply[0] == b"subscribe":
            waiter.listening.set()
