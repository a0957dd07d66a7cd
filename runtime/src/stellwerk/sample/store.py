"""Asks PostgreSQL: the queries, and a few connections that survive a restart of the server.

Events are appended here, and nothing else is written; `seed` makes the data.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final, TypeAlias, TypeVar

import psycopg

from stellwerk.database.quoting import quote_identifier
from stellwerk.eventstore.errors import ConflictError
from stellwerk.eventstore.events import EventStore, NewEvent
from stellwerk.sample.availability import Availability, Reach, UnavailableError
from stellwerk.sample.bounded import Bounded
from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.query import AssetQuery, PortfolioQuery, Query

# 32 instances at most (specification 2.2) with two connections each stay well under max_connections
# 100.
_CONNECTIONS: Final = 2
_QUERY_SECONDS: Final = 2.0

_T = TypeVar("_T")
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
_EVENTS = """
    SELECT version, event_type AS type, timestamp, payload FROM {schema}.events
    WHERE aggregate_id = %(aggregate_id)s AND version > %(after_version)s
    ORDER BY version LIMIT %(limit)s
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

    async def events(self, query: EventQuery) -> bytes:
        """The events of an aggregate as a JSON array. Raises UnavailableError."""
        statement = _rows_as_json(_EVENTS.format(schema=quote_identifier(self._address.events)))
        row = await self._of_events(lambda one: _first_row(one, statement, asdict(query)))
        return str(row[0] if row else "[]").encode()

    async def append(self, wanted: EventAppend) -> int:
        """Append events; the aggregate's version then.

        Tried again where an idle connection turns out to be dead: the version that is expected
        keeps it from being done twice. Raises UnavailableError, and ConflictError where the
        aggregate is at another version.
        """
        events = [NewEvent(name, payload) for name, payload in wanted.events]

        async def append(connection: _Connection) -> int:
            store = EventStore(connection, self._address.events)
            await connection.set_read_only(False)
            try:
                async with connection.transaction():
                    return await store.append(wanted.aggregate_id, wanted.expected_version, events)
            finally:
                if not connection.closed:
                    await connection.set_read_only(None)

        return await self._of_events(append)

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
            asking = self._on_connection(lambda one: _first_row(one, statement, values))
            row = await self._bounded.within(_QUERY_SECONDS, asking)
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

    async def _of_events(self, work: Callable[[_Connection], Awaitable[_T]]) -> _T:
        async with self._slots:
            name = self.availability.name
            if self.availability.reach is Reach.AWAY:
                raise UnavailableError(f"{name} is away, and events are not cached.")
            try:
                return await self._bounded.within(_QUERY_SECONDS, self._on_connection(work))
            except psycopg.ProgrammingError as error:  # no event store, no right to use it
                raise UnavailableError(
                    f"{name} has no event store for {self._address.user} ({_sentence(error)}); run"
                    " the deploy."
                ) from None
            except (psycopg.Error, OSError, TimeoutError) as error:
                self.availability.lost(_sentence(error))
                raise UnavailableError(f"{name} cannot answer: see /health.") from None

    async def _on_connection(self, work: Callable[[_Connection], Awaitable[_T]]) -> _T:
        """Work on an idle connection, or on a new one when the idle ones died with their server."""
        while True:
            fresh = not self._idle
            connection = await self._connect() if fresh else self._idle.pop()
            try:
                result = await work(connection)
            except ConflictError:
                self._idle.append(connection)
                raise
            except psycopg.OperationalError:
                await connection.close()
                if fresh:
                    raise
            except BaseException:
                await connection.close()
                raise
            else:
                self._idle.append(connection)
                return result

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


async def _first_row(
    connection: _Connection, statement: str, values: dict[str, Any]
) -> tuple[Any, ...] | None:
    cursor = await connection.execute(statement, values)
    return await cursor.fetchone()


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
