"""A connection as the owner of the event store, for what deploys and timers do. Not for services.

Statements run on their own unless a transaction is opened on `connection`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from stellwerk.eventstore.errors import EventStoreError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Query: TypeAlias = str | sql.SQL | sql.Composed

_CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Address:
    """How the owner gets in. A host that begins with / is the folder of the server's socket."""

    host: str
    port: int
    database: str
    user: str
    password: str | None
    schema: str = "public"
    timezone: str = "UTC"

    def __repr__(self) -> str:
        return f"database {self.database} at {self.host}:{self.port} as {self.user}"


@dataclass(frozen=True)
class Session:
    """An open connection and the event store's schema in its database."""

    connection: Connection
    schema: str

    @property
    def quoted_schema(self) -> str:
        """The schema as SQL writes it."""
        return sql.Identifier(self.schema).as_string(self.connection)

    def name(self, relation: str) -> sql.Identifier:
        """A table, view or index of the schema, as SQL writes it."""
        return sql.Identifier(self.schema, relation)

    def run(self, query: Query, values: Sequence[Any] | None = None) -> None:
        """Execute a statement."""
        self.connection.execute(query, values)

    def rows(self, query: Query, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def value(self, query: Query, values: Sequence[Any] | None = None) -> Any:
        """The first value of the first row; None where there is no row."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]


@contextlib.contextmanager
def open_session(address: Address) -> Iterator[Session]:
    """Connect as the owner. Raises EventStoreError, also for what the server refuses within."""
    try:
        with psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=address.user,
            password=address.password,
            connect_timeout=_CONNECT_SECONDS,
            application_name="stellwerk-event-store",
            options=f"-c timezone={address.timezone}",
            autocommit=True,
        ) as connection:
            yield Session(connection, address.schema)
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise EventStoreError(f"The event store in {address!r}: {said}") from None
