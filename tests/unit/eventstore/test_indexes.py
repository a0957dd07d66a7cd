"""Indexes are built and repaired while everybody goes on."""

from dataclasses import replace

import psycopg
import pytest

from stellwerk.eventstore.converging import converge
from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.indexes import WANTED, FoundIndex, build_indexes, found_indexes, steps
from stellwerk.eventstore.session import Session

from .store_server import ROLES, Site, connect

UNIQUE, TYPES, NEWEST = WANTED
GOOD = tuple(
    FoundIndex(one.name, one.table, one.definition, one.unique, valid=True) for one in WANTED
)


def state(session: Session) -> dict[str, FoundIndex]:
    return {one.name: one for one in found_indexes(session) if one.table == "events"}


def test_nothing_is_done_where_nothing_differs() -> None:
    assert steps(WANTED, GOOD, "public") == ()


def test_every_statement_leaves_writers_alone() -> None:
    invalid = [replace(one, valid=False) for one in GOOD]
    left = [replace(one, name=f"{one.name}_former") for one in GOOD]
    for found in ((), invalid, [*GOOD, *left]):
        for step in steps(WANTED, found, "public"):
            # Renaming an index takes a lock that only other changes of the schema wait for.
            assert "CONCURRENTLY" in step.sql or step.sql.startswith("ALTER INDEX"), step


def test_an_index_of_another_table_is_not_taken_away() -> None:
    with pytest.raises(EventStoreError, match="belongs to table others"):
        steps(WANTED, [replace(GOOD[0], table="others")], "public")


@pytest.mark.programs
def test_the_schema_brings_what_is_wanted(session: Session) -> None:
    assert set(GOOD) <= set(found_indexes(session))
    assert converge(session, ROLES) == []


@pytest.mark.programs
@pytest.mark.parametrize(
    "damage",
    [
        "DROP INDEX events_timestamp",
        "DROP INDEX events_timestamp; CREATE INDEX events_timestamp ON events (version)",
        "DROP INDEX events_aggregate_version;"
        "CREATE INDEX events_aggregate_version ON events (aggregate_id, version)",
        "DROP INDEX events_type_timestamp;"
        "CREATE INDEX events_type_timestamp ON events (event_type) WHERE version > 1",
        "ALTER INDEX events_timestamp RENAME TO events_timestamp_former",
    ],
)
def test_a_missing_or_different_index_is_mended(session: Session, damage: str) -> None:
    session.run(damage)
    assert build_indexes(session)
    assert set(GOOD) <= set(found_indexes(session))
    assert build_indexes(session) == []
    assert not [name for name in state(session) if name.endswith(("_next", "_former"))]


@pytest.mark.programs
def test_a_build_that_was_killed_half_way_is_repaired_while_writers_go_on(
    site: Site, session: Session
) -> None:
    """A build waits for older transactions; killed there, it leaves an invalid index."""
    session.run("DROP INDEX events_type_timestamp")
    with connect(site, "app") as older:
        older.execute("SELECT append_events('older', NULL, '{a}', ARRAY['{}'::jsonb])")
        with connect(site, "owner", autocommit=True) as building:
            building.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                building.execute(
                    "CREATE INDEX CONCURRENTLY events_type_timestamp"
                    ' ON events (event_type, "timestamp")'
                )
        assert not state(session)["events_type_timestamp"].valid
        with connect(site, "app", autocommit=True) as writer:
            writer.execute("SELECT append_events('writer', NULL, '{a}', ARRAY['{}'::jsonb])")
    assert converge(session, ROLES)
    assert state(session)["events_type_timestamp"].valid


@pytest.mark.programs
def test_writers_go_on_while_an_index_is_replaced(site: Site, session: Session) -> None:
    """With a writer that holds its lock all the time, nothing but the wait for it is left to do."""
    session.run("DROP INDEX events_timestamp; CREATE INDEX events_timestamp ON events (version)")
    with connect(site, "app") as slow:
        slow.execute("SELECT append_events('slow', NULL, '{a}', ARRAY['{}'::jsonb])")
        with connect(site, "owner", autocommit=True) as building:
            building.execute("SET lock_timeout = '200ms'")
            (create, *_) = steps(WANTED, found_indexes(session), "public")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                building.execute(create.sql)
        with connect(site, "app", autocommit=True) as writer:
            writer.execute("SET lock_timeout = '200ms'")
            writer.execute("SELECT append_events('quick', NULL, '{a}', ARRAY['{}'::jsonb])")
    assert build_indexes(session)
    assert set(GOOD) <= set(found_indexes(session))
    assert not [name for name in state(session) if name.endswith(("_next", "_former"))]
