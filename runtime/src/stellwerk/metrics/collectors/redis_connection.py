"""A connection to a Redis or Sentinel of this host: a command, its answer. hiredis reads it.

redis-py would be a sixth of the monitor's memory, for one command a collection.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

import hiredis

_READ_BYTES: Final = 65536


class RedisError(Exception):
    """The server answered with an error; the message is its own."""


class RedisLostError(Exception):
    """Nobody listens, or the connection was closed."""


@dataclass(frozen=True)
class RedisAccess:
    """How to reach a server, as which user; with TLS by the address its certificate names."""

    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls_authority: str | None = None
    host: str = "127.0.0.1"


class RedisConnection:
    """Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = hiredis.Reader(encoding="utf-8", errors="replace")

    async def call(self, *words: str) -> Any:
        """The answer to a command. Raises RedisError, RedisLostError.

        One that is cancelled costs the connection, as its answer is still to come.
        """
        try:
            packed = hiredis.pack_command(words)  # type: ignore[arg-type]  # of any length
            self._writer.write(packed)
            while (answer := self._parser.gets()) is False:
                received = await self._reader.read(_READ_BYTES)
                if not received:
                    raise RedisLostError("the connection was closed")
                self._parser.feed(received)
        except (OSError, hiredis.ProtocolError) as error:
            self.close()
            raise RedisLostError(str(error)) from None
        except BaseException:
            self.close()
            raise
        if isinstance(answer, hiredis.ReplyError):
            raise RedisError(str(answer))
        return answer

    def close(self) -> None:
        """End it at once."""
        self._writer.transport.abort()


async def connect(access: RedisAccess) -> RedisConnection:
    """Connect and log in. Raises RedisError, RedisLostError."""
    authority = access.tls_authority
    tls = ssl.create_default_context(cafile=authority) if authority is not None else None
    try:
        reader, writer = await asyncio.open_connection(access.host, access.port, ssl=tls)
    except OSError as error:
        raise RedisLostError(error.strerror or str(error)) from None
    connection = RedisConnection(reader, writer)
    try:
        if access.password is not None:
            user = () if access.user is None else (access.user,)
            await connection.call("AUTH", *user, access.password)
    except BaseException:
        connection.close()
        raise
    return connection


def fields(info: str) -> dict[str, str]:
    """The `name:value` lines of an answer to INFO."""
    parted = [line.partition(":") for line in info.split("\r\n")]
    return {name: value for name, colon, value in parted if colon}
