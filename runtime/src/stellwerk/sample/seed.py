"""Puts the generated data into PostgreSQL, once: what is there, what is lacking, and making up for
it.

Everything happens in one transaction, so a killed run leaves what was there before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import sql

from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.dataset import FORMAT, Amounts, Dataset, generate
from stellwerk.sample.schema import CREATE_TABLES, SCHEMA, TABLES

_CONNECT_SECONDS: Final = 10
_LOCK: Final = (
    0x5A3B1E5EED  # any number, the same for all runs: two of them must not fill the schema at once
)
_DEFAULT_AMOUNTS: Final = Amounts()

_Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class SeedError(Exception):
    """The data cannot be put there; the message is one sentence."""


def missing(address: DatabaseAddress, seed: int, readers: Sequence[str]) -> str | None:
    """What is lacking of the data of `seed` and the readers' rights, as a sentence; None when
    nothing is.

    Changes nothing. Raises SeedError when that cannot be found out.
    """
    with _transaction(address) as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        return _lacking_data(connection, seed, _DEFAULT_AMOUNTS) or _lacking_rights(
            connection, readers
        )


def ensure_data(
    address: DatabaseAddress,
    seed: int,
    readers: Sequence[str],
    amounts: Amounts = _DEFAULT_AMOUNTS,
) -> str:
    """Make the schema hold the data of `seed` and let the readers read it; the answer says what was
    done.

    Other generated data in the schema is replaced, and so is less than `amounts`; more is left.
    Raises SeedError, also when the schema holds tables that were not made here.
    """
    with _transaction(address) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        lacking = _lacking_data(connection, seed, amounts)
        if lacking:
            data = generate(seed, amounts)
            _make_room(connection)
            _fill(connection, data, seed)
            _grant(connection, readers)
            return f"Filled schema {SCHEMA} with the data of seed {seed}: {_amounts(data)}."
        if _lacking_rights(connection, readers):
            _grant(connection, readers)
            return f"The data of seed {seed} was complete; {', '.join(readers)} may now read it."
        return f"The data of seed {seed} is complete: nothing to do."


@contextmanager
def _transaction(address: DatabaseAddress) -> Iterator[_Connection]:
    try:
        with psycopg.connect(
            host=address.endpoint.host,
            port=address.endpoint.port,
            dbname=address.name,
            user=address.user,
            password=address.password.value if address.password else None,
            sslmode="verify-full" if address.tls_ca else None,
            sslrootcert=str(address.tls_ca) if address.tls_ca else None,
            connect_timeout=_CONNECT_SECONDS,
            application_name="stellwerk-sample-seed",
        ) as connection:
            yield connection
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise SeedError(
            f"Database {address.name} at {address.endpoint}, as {address.user}: {reason}"
        ) from None


def _lacking_data(connection: _Connection, seed: int, amounts: Amounts) -> str | None:
    tables = _tables(connection)
    if not tables:
        return f"Schema {SCHEMA} has no tables."
    if "generated" not in tables:
        raise SeedError(
            f"Schema {SCHEMA} holds tables that were not generated ({', '.join(sorted(tables))}): "
            "move them to another schema first."
        )
    found = connection.execute("SELECT seed, format FROM sample.generated").fetchone()
    if found != (seed, FORMAT):
        return f"Schema {SCHEMA} holds other generated data than that of seed {seed}."
    for table, expected in _row_counts(amounts).items():
        count = _count(connection, table) if table in tables else 0
        if count < expected:
            return f"Table {SCHEMA}.{table} has {count} of {expected} rows."
    return None


def _lacking_rights(connection: _Connection, readers: Sequence[str]) -> str | None:
    for reader in readers:
        row = connection.execute(
            """
            SELECT has_schema_privilege(%(reader)s, %(schema)s, 'USAGE')
               AND bool_and(has_table_privilege(%(reader)s, name, 'SELECT'))
            FROM unnest(%(tables)s::text[]) AS name
            """,
            {"reader": reader, "schema": SCHEMA, "tables": [f"{SCHEMA}.{name}" for name in TABLES]},
        ).fetchone()
        if row != (True,):
            return f"Role {reader} may not read schema {SCHEMA}."
    return None


def _make_room(connection: _Connection) -> None:
    """Leave empty tables of the present shape; never by a cascade, as others may build on them."""
    tables = _tables(connection)
    if tables and _format(connection) == FORMAT and tables.issuperset(TABLES):
        connection.execute("TRUNCATE sample.users, sample.assets, sample.portfolios, sample.trades")
        connection.execute("DELETE FROM sample.generated")
        return
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
    for table in ("generated", *reversed(TABLES)):
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(SCHEMA, table)))
    connection.execute(CREATE_TABLES)


def _fill(connection: _Connection, data: Dataset, seed: int) -> None:
    for table, rows in _rows(data).items():
        if not rows:
            continue
        name = sql.Identifier(SCHEMA, table)
        columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]._fields))
        copy_statement = sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)
        with connection.cursor().copy(copy_statement) as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [f"{SCHEMA}.{table}", len(rows)]
        )
        connection.execute(sql.SQL("ANALYZE {}").format(name))
    connection.execute(
        "INSERT INTO sample.generated (seed, format) VALUES (%s, %s)", [seed, FORMAT]
    )


def _grant(connection: _Connection, readers: Sequence[str]) -> None:
    for reader in readers:
        for statement in (
            "GRANT USAGE ON SCHEMA {} TO {}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}",
        ):
            connection.execute(
                sql.SQL(statement).format(sql.Identifier(SCHEMA), sql.Identifier(reader))
            )


def _tables(connection: _Connection) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SCHEMA])
    return {row[0] for row in rows}


def _format(connection: _Connection) -> int | None:
    row = connection.execute("SELECT format FROM sample.generated").fetchone()
    return None if row is None else int(row[0])


def _count(connection: _Connection, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(SCHEMA, table))
    row = connection.execute(query).fetchone()
    return 0 if row is None else int(row[0])


def _row_counts(amounts: Amounts) -> dict[str, int]:
    return {
        "users": amounts.users,
        "assets": amounts.assets,
        "portfolios": amounts.portfolios,
        "trades": amounts.portfolios * amounts.trades_per_portfolio,
    }


def _rows(data: Dataset) -> dict[str, Sequence[Any]]:
    return {table: getattr(data, table) for table in TABLES}


def _amounts(data: Dataset) -> str:
    return ", ".join(f"{len(rows)} {table}" for table, rows in _rows(data).items())
