"""Waits for the ledger's notifications, and notices when its server has gone silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import psycopg

from stellwerk.instances.connection import Connection, sentence

CHANNEL: Final = "stellwerk"
"""What the triggers of the ledger's tables notify."""

_BURST_SECONDS: Final = 0.02
# With the bound of an answer (8 s) a frozen server is noticed within 10 s, a dead one at once.
_PING_SECONDS: Final = 2.0


class Listener:
    """Listens on a connection of its own. It sleeps until the socket has something to read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._woken = asyncio.Event()
        self._lost = False
        self._socket: int | None = None  # while it is watched

    async def start(self) -> None:
        """From now on no notification is missed. Raises LedgerAwayError."""
        self._connection.raw.add_notify_handler(lambda _: self._woken.set())
        await self._connection.ask(f"LISTEN {CHANNEL}")
        self._watch()

    async def bursts(self) -> AsyncIterator[None]:
        """One item for all notifications since the last. Raises LedgerAwayError."""
        while True:
            if not await self._woken_in_time():
                await self._ping()
                continue
            await asyncio.sleep(_BURST_SECONDS)
            if self._lost:
                raise self._connection.away("the connection was lost")
            self._woken.clear()
            yield

    def break_off(self, reason: str) -> None:
        """Give the connection up at once; whoever iterates gets LedgerAwayError."""
        self._connection.break_off(reason)

    async def close(self) -> None:
        """End listening; whoever iterates gets LedgerAwayError."""
        self._lose()
        await self._connection.close()

    async def _woken_in_time(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PING_SECONDS):
                await self._woken.wait()
        return self._woken.is_set()

    async def _ping(self) -> None:
        self._unwatch()  # psycopg waits for the answer on the same socket
        await self._connection.ask("SELECT 1")
        self._watch()

    def _watch(self) -> None:
        if not self._lost:
            self._socket = self._connection.raw.fileno()
            asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _unwatch(self) -> None:
        # By the remembered number: psycopg knows none any more once the connection is lost.
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket = None

    def _read(self) -> None:
        connection = self._connection.raw.pgconn
        try:
            connection.consume_input()
        except psycopg.Error as error:
            self._connection.break_off(sentence(error))
            self._lose()
            return
        while connection.notifies():
            self._woken.set()

    def _lose(self) -> None:
        self._unwatch()
        self._lost = True
        self._woken.set()
