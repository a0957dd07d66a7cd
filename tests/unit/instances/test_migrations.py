"""The ledger's schema comes to this release once, as a whole or not at all."""

import re
from collections.abc import Iterator

import pytest

from stellwerk.database.statement import psql_script
from stellwerk.instances.migrations import (
    LATEST,
    MIGRATIONS,
    NewerLedgerError,
    migration_statements,
)
from tests.unit.database.postgres_server import Binaries, running
from tests.unit.instances.ledger_server import DATABASE, LedgerServer

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def fresh_server(binaries: Binaries) -> Iterator[LedgerServer]:
    """A server on which nothing was deployed, for the tests of this module in their order."""
    with running(binaries) as server:
        server.psql(f"CREATE DATABASE {DATABASE}")
        yield LedgerServer(server)


def test_migrations_are_numbered_without_gaps() -> None:
    assert [one.version for one in MIGRATIONS] == list(range(1, LATEST + 1))


def test_only_what_is_missing_is_migrated() -> None:
    assert len(migration_statements(0, DATABASE)) == LATEST
    assert len(migration_statements(LATEST - 1, DATABASE)) == 1
    assert migration_statements(LATEST, DATABASE) == ()


def test_a_ledger_of_a_newer_release_is_refused_in_one_sentence() -> None:
    with pytest.raises(NewerLedgerError, match=f"at version {LATEST + 1}.* {LATEST} at most"):
        migration_statements(LATEST + 1, DATABASE)


def relations(server: LedgerServer) -> str:
    return server.psql(
        "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('stellwerk')"
    )


def test_a_migration_that_is_killed_half_way_leaves_nothing(fresh_server: LedgerServer) -> None:
    fresh_server.psql("CREATE SCHEMA stellwerk")
    script = psql_script(migration_statements(0, DATABASE)[:1])
    *ends, last = (match.end() for match in re.finditer(r";\n+(?=[A-Z-]|\Z)(?!END)", script))
    assert len(ends) > len(MIGRATIONS)
    for end in ends:
        fresh_server.server.psql(script[:end])  # and the connection is gone
        assert relations(fresh_server) == "0\n"
    fresh_server.server.psql(script[:last])
    assert relations(fresh_server) != "0\n"


def test_a_migration_that_ran_before_fails_without_a_trace(fresh_server: LedgerServer) -> None:
    before = relations(fresh_server)
    with pytest.raises(AssertionError, match="already exists"):
        fresh_server.server.psql(psql_script(migration_statements(0, DATABASE)))
    assert relations(fresh_server) == before


def test_every_migration_says_that_it_ran(fresh_server: LedgerServer) -> None:
    fresh_server.server.psql(psql_script(migration_statements(1, DATABASE)))
    rows = fresh_server.psql("SELECT version, name FROM stellwerk.migrations ORDER BY version")
    assert rows.split() == [f"{one.version}|{one.name}" for one in MIGRATIONS]
