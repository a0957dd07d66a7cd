"""Reads from PostgreSQL: the queries, and a few connections that survive a restart of the server.

Nothing is written here; `seed` makes the data.
"""

import asyncio
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import psycopg

from stellwerk.sample.availability import Availability, Reach, UnavailableError
from stellwerk.sample.bounded import Bounded
from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.query import AssetQuery, PortfolioQuery, Query

# 32 instances at most (specification 2.2) with two connections each stay well under max_connections
# 100.
_CONNECTIONS: Final = 2
_QUERY_SECONDS: Final = 2.0

_Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]

_PORTFOLIOS = """
    SELECT id, user_id, name, initial_value_eur, current_value_eur, created_at
    FROM sample.portfolios
"""
_ASSETS = "SELECT id, symbol, name, price_eur FROM sample.assets"
_TRADES = """
    SELECT trade.id, portfolio_id, symbol, side, quantity, trade.price_eur, executed_at
    FROM sample.trades AS trade JOIN sample.assets AS asset ON asset.id = asset_id
"""
_NEWEST = " ORDER BY executed_at DESC, trade.id DESC LIMIT %(limit)s"


class PostgresStore:
    """Answers queries as JSON made by PostgreSQL itself, so that NUMERIC values stay exact."""

    def __init__(self, address: DatabaseAddress) -> None:
        self._address = address
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._bounded = Bounded()
        self.availability = Availability(f"PostgreSQL at {address.endpoint}")

    async def read(self, query: Query) -> bytes:
        """The rows as a JSON array. Raises UnavailableError at once when PostgreSQL is known to be
        away.
        """
        statement = _rows_as_json(_statement(query))
        async with self._slots:
            if self.availability.reach is Reach.AWAY:
                raise UnavailableError(f"{self.availability.name} is away and no answer is cached.")
            row = await self._ask(statement, asdict(query))
        if row is None:
            raise UnavailableError(f"{self.availability.name} cannot answer: see /health.")
        return str(row[0]).encode()

    async def probe(self) -> None:
        """See whether the sample's tables can be read."""
        async with self._slots:
            if await self._ask("SELECT FROM sample.trades LIMIT 1", {}) is not None:
                self.availability.found()

    async def close(self) -> None:
        """Close the connections."""
        await self._bounded.close()
        while self._idle:
            await self._idle.pop().close()

    async def _ask(self, statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """The first row; None when there is none, which `availability` then explains."""
        try:
            row = await self._bounded.within(_QUERY_SECONDS, self._first_row(statement, values))
        except psycopg.ProgrammingError as error:  # no schema, no table, no right to read it
            self.availability.lost(
                f"{_sentence(error)}; run `stellwerk sample seed --grant-to {self._address.user}`.",
                Reach.WITHOUT_DATA,
            )
            return None
        except (psycopg.Error, OSError, TimeoutError) as error:
            self.availability.lost(_sentence(error))
            return None
        if row is None:
            self.availability.lost(
                "its tables are empty; run `stellwerk sample seed`.", Reach.WITHOUT_DATA
            )
        return row

    async def _first_row(self, statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Ask on an idle connection, or on a new one when the idle ones died with their server."""
        while True:
            fresh = not self._idle
            connection = await self._connect() if fresh else self._idle.pop()
            try:
                cursor = await connection.execute(statement, values)
                row = await cursor.fetchone()
            except psycopg.OperationalError:
                await connection.close()
                if fresh:
                    raise
            except BaseException:
                await connection.close()
                raise
            else:
                self._idle.append(connection)
                return row

    async def _connect(self) -> _Connection:
        address = self._address
        return await psycopg.AsyncConnection.connect(
            host=address.endpoint.host,
            port=address.endpoint.port,
            dbname=address.name,
            user=address.user,
            password=address.password.value if address.password else None,
            sslmode="verify-full" if address.tls_ca else None,
            sslrootcert=str(address.tls_ca) if address.tls_ca else None,
            connect_timeout=int(_QUERY_SECONDS),
            application_name="stellwerk-sample",
            options=(
                "-c default_transaction_read_only=on -c timezone=UTC "
                f"-c statement_timeout={int(1000 * _QUERY_SECONDS)}"
            ),
            autocommit=True,
        )


def _statement(query: Query) -> str:
    """One statement per filter, so that each is planned with its own index."""
    if isinstance(query, PortfolioQuery):
        owner = "" if query.user_id is None else " WHERE user_id = %(user_id)s"
        return _PORTFOLIOS + owner + " ORDER BY id LIMIT %(limit)s"
    if isinstance(query, AssetQuery):
        return _ASSETS + (" ORDER BY id" if query.symbol is None else " WHERE symbol = %(symbol)s")
    portfolio = "" if query.portfolio_id is None else " WHERE portfolio_id = %(portfolio_id)s"
    return _TRADES + portfolio + _NEWEST


def _rows_as_json(statement: str) -> str:
    return f"SELECT coalesce(json_agg(answer), '[]')::text FROM ({statement}) AS answer"  # noqa: S608


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
