"""One connection to a Redis server that all coroutines of a process share.

Commands are written together once per turn of the event loop and answered in their order, so fifty
concurrent reads cost one write and one read. A caller that is cancelled leaves its answer to be
skipped, never to the next caller. A server that does not answer in time loses the connection.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import hiredis

from stellwerk.caching.addresses import Credentials
from stellwerk.caching.errors import RedisAwayError, RedisRefusedError
from stellwerk.endpoint import Endpoint
from stellwerk.settings.redis import KeepAlive

Word = bytes | str | int
Reply = Any
"""What a command answers: bytes, a whole number, None, or a list of replies."""

_AWAY_REPLIES: Final = frozenset({"LOADING", "MASTERDOWN", "READONLY", "NOREPLICAS"})
"""Errors of a server that is not, not yet or no longer the master that takes writes."""

_SILENCE_SECONDS: Final = 0.02
"""An answer that is late is waited for as long as some of it comes within this time."""

_logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """A connection that is used up once it is lost; make it with `connect`."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._unsent: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self._heard = False
        self._listener: Callable[[Reply], None] | None = None
        self._refusals: set[str] = set()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done with the reason when the connection is no more."""

    def send(self, *words: Word, timeout: float | None = None) -> asyncio.Future[Reply]:
        """The answer to come; RedisAwayError or RedisRefusedError where it is none.

        `timeout` in seconds replaces the usual one, for a command that blocks.
        """
        answer: asyncio.Future[Reply] = self._loop.create_future()
        if self.lost.done():
            answer.set_exception(RedisAwayError(self.lost.result()))
            return answer
        packed = _pack(words)
        limit = self._loop.time() + (timeout or self._timeout)
        if self._pending or self._unsent or self._transport is None:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(packed)
        else:
            self._transport.write(packed)
        self._pending.append((answer, limit))
        if self._watch is None:
            self._watch = self._loop.call_at(limit, self._look)
        return answer

    def listen(self, listener: Callable[[Reply], None], *words: Word) -> None:
        """Send a command whose answers, and all that come after, go to `listener`."""
        self._listener = listener
        if self._transport is not None and not self.lost.done():
            self._transport.write(_pack(words))

    def close(self, reason: str = "the connection was closed") -> None:
        """Give the connection up; whoever waits for an answer gets RedisAwayError."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        for answer, _ in self._pending:
            if not answer.done():
                answer.set_exception(RedisAwayError(f"Redis is away: {reason}."))
                answer.exception()  # a caller that was cancelled will not look
        self._pending.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._heard = True
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.close(f"it does not speak the Redis protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.close(str(exc) if exc else "it closed the connection")

    def _take(self, reply: Reply) -> None:
        if self._listener is not None:
            self._listener(reply)
            return
        if not self._pending:
            self.close("it answered what was not asked")
            return
        answer, _ = self._pending.popleft()
        if isinstance(reply, hiredis.ReplyError):
            self._refuse(answer, str(reply))
        elif not answer.done():
            answer.set_result(reply)

    def _refuse(self, answer: asyncio.Future[Reply], message: str) -> None:
        error: RedisAwayError = RedisRefusedError(f"Redis refused a command: {message}.")
        kind = message.partition(" ")[0]
        if kind in _AWAY_REPLIES:
            error = RedisAwayError(f"Redis takes no commands: {message}.")
            self._loop.call_soon(self.close, message)
        elif kind != "NOSCRIPT" and kind not in self._refusals:
            self._refusals.add(kind)
            _logger.warning("Redis refused a command: %s", message)
        if not answer.done():
            answer.set_exception(error)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self.lost.done():
            self._transport.write(b"".join(unsent))

    def _look(self) -> None:
        """Lose the connection where the oldest command was not answered in time."""
        self._watch = None
        if not self._pending:
            return
        limit = self._pending[0][1]
        if limit > self._loop.time():
            self._watch = self._loop.call_at(limit, self._look)
        elif self._heard:
            # A large answer is coming, or this process was busy itself and has more to read.
            self._heard = False
            self._watch = self._loop.call_later(_SILENCE_SECONDS, self._look)
        else:
            self.close("no answer in time")


async def connect(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    timeout: float,
    tls: Any = None,
    keepalive: KeepAlive | None = None,
) -> Connection:
    """A connection that has logged in. Raises RedisAwayError; `timeout` is in seconds."""
    loop = asyncio.get_running_loop()
    connection = Connection(timeout)
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(
                lambda: connection, endpoint.host, endpoint.port, ssl=tls
            )
            _keep_alive(transport.get_extra_info("socket"), keepalive or KeepAlive())
            if credentials.password is not None:
                who = (credentials.user,) if credentials.user else ()
                await connection.send("AUTH", *who, credentials.password)
            await connection.send("PING")
    except (OSError, TimeoutError, RedisRefusedError, RedisAwayError) as error:
        connection.close("it could not be used")
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise RedisAwayError(f"Redis at {endpoint} is away: {why}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _pack(words: tuple[Word, ...]) -> bytes:
    return hiredis.pack_command(words)  # type: ignore[arg-type, no-any-return]  # its hints say one word


def _keep_alive(sock: socket.socket, settings: KeepAlive) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, settings.idle_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, settings.interval_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, settings.count)


_INCOMPLETE: Final = object()
