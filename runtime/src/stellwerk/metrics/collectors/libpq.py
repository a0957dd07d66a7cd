"""A connection to PostgreSQL over libpq's own asynchronous interface: one statement at a time.

psycopg's connections ask the server to cancel what is given up and wait for its answer; a server
that is frozen would hold a look up with that. Here giving up closes the socket, and that is all.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias

import psycopg
from psycopg import pq

Row: TypeAlias = tuple[str | None, ...]

_SQLSTATE: Final = pq.DiagnosticField.SQLSTATE
_PRIMARY: Final = pq.DiagnosticField.MESSAGE_PRIMARY
_POLLING_WRITE: Final = 2
_ANSWERED: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class PostgresqlError(Exception):
    """The server refused a statement; the message is its own."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class ConnectionLostError(Exception):
    """There is no connection to a server (any more); the message is libpq's."""


class Connection:
    """Made by `connect`."""

    def __init__(self, raw: pq.abc.PGconn) -> None:
        self._raw = raw

    @property
    def version(self) -> int:
        """The server's, such as 150018."""
        return self._raw.server_version

    async def ask(self, sql: str) -> list[Row]:
        """The rows of one statement, values as text. Raises PostgresqlError, ConnectionLostError.

        One that is cancelled costs the connection.
        """
        try:
            self._raw.send_query_params(sql.encode(), None)
            while self._raw.flush():
                await _ready(self._raw.socket, write=True)
            while self._raw.is_busy():
                await _ready(self._raw.socket)
                self._raw.consume_input()
            result = self._raw.get_result()
            while self._raw.get_result() is not None:
                pass
        except psycopg.Error as error:
            self.close()
            raise ConnectionLostError(_first_line(str(error))) from None
        except asyncio.CancelledError:
            self.close()
            raise
        if result is None:
            raise ConnectionLostError("the connection is lost")
        return _rows(result)

    def close(self) -> None:
        """End it at once, whatever it is doing."""
        self._raw.finish()


async def connect(parameters: Mapping[str, str]) -> Connection:
    """Connect with libpq's parameters. Raises ConnectionLostError."""
    raw = pq.PGconn.connect_start(psycopg.conninfo.make_conninfo("", **parameters).encode())
    try:
        while (polling := raw.connect_poll()) != pq.PollingStatus.OK:
            if polling == pq.PollingStatus.FAILED:
                raise ConnectionLostError(_first_line(_words(raw)))
            await _ready(raw.socket, write=polling == pq.PollingStatus.WRITING)
        raw.nonblocking = 1
    except BaseException:
        raw.finish()
        raise
    return Connection(raw)


async def _ready(descriptor: int, *, write: bool = False) -> None:
    """Wait until a socket can be read, or written to."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    )

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, wake)
    try:
        await ready
    finally:
        remove(descriptor)


def _rows(result: pq.abc.PGresult) -> list[Row]:
    if result.status not in _ANSWERED:
        state, primary = result.error_field(_SQLSTATE), result.error_field(_PRIMARY)
        raise PostgresqlError((state or b"").decode(), (primary or b"").decode(errors="replace"))
    columns = range(result.nfields)
    return [
        tuple(_text(result.get_value(row, column)) for column in columns)
        for row in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).decode(errors="replace")


def _words(raw: pq.abc.PGconn) -> str:
    return raw.error_message.decode(errors="replace")


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]
