"""Statements of the settings, run on a few connections that are kept. They change nothing."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row

Row = Mapping[str, Any]
Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]


def reading(dsn: str) -> Connect:
    """What opens a connection on which nothing can be changed."""

    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, options="-c default_transaction_read_only=on"
        )

    return connect


class Statements:
    """Runs statements. Raises psycopg.Error and OSError where the database cannot be asked."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[psycopg.AsyncConnection[Any]] = []

    async def rows(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        """The rows; `parameters` stand in the statement as %(name)s."""
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(statement.encode(), parameters)
                found: list[Row] = list(await cursor.fetchall())
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return found

    async def value(self, statement: str, parameters: Mapping[str, object]) -> Any:
        """What the first row says: its column `value` where that is the only one, else all columns
        by name. None: there is no row.
        """
        rows = await self.rows(statement, parameters)
        if not rows:
            return None
        first = dict(rows[0])
        return first["value"] if first.keys() == {"value"} else first

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().close()
