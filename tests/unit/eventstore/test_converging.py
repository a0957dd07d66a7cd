"""The event store comes to its release from anything a killed run may have left."""

import psycopg
import pytest

from stellwerk.eventstore.converging import LOCK, converge
from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.migrations import LATEST, present_version

from .store_server import ROLES, Site, connect, session_of

pytestmark = pytest.mark.programs


def test_a_second_run_has_nothing_to_do(bare: Site) -> None:
    with session_of(bare, "first") as session:
        assert present_version(session) == 0
        assert converge(session, ROLES)
        assert present_version(session) == LATEST
        assert converge(session, ROLES) == []


def test_indexes_can_be_left_for_another_run(bare: Site) -> None:
    with session_of(bare, "later") as session:
        converge(session, ROLES)
        session.run("DROP INDEX later.events_timestamp")
        assert converge(session, ROLES, indexes=False) == []
        assert converge(session, ROLES) == ["Built index events_timestamp."]


def test_rights_that_were_given_or_taken_come_back(bare: Site) -> None:
    with session_of(bare, "drifted") as session:
        converge(session, ROLES)
        session.run(
            "GRANT DELETE ON drifted.events TO app; REVOKE SELECT ON drifted.trades FROM app;"
            "GRANT SELECT ON drifted.portfolios TO monitor;"
            "REVOKE EXECUTE ON FUNCTION drifted.append_events FROM app"
        )
        assert len(converge(session, ROLES)) == 4
        assert converge(session, ROLES) == []


def test_a_migration_that_fails_leaves_nothing(bare: Site) -> None:
    with connect(bare, "owner", autocommit=True) as owner:
        owner.execute("CREATE SCHEMA occupied; CREATE TABLE occupied.portfolios ()")
    with (
        pytest.raises(EventStoreError, match=r'relation "portfolios" already exists'),
        session_of(bare, "occupied") as session,
    ):
        converge(session, ROLES)
    with session_of(bare, "occupied") as session:
        assert present_version(session) == 0


def test_a_store_of_a_newer_release_is_refused(bare: Site) -> None:
    with session_of(bare, "newer") as session:
        converge(session, ROLES)
        session.run(f"INSERT INTO newer.event_store_migrations VALUES ({LATEST + 1}, 'later')")
        with pytest.raises(EventStoreError, match="deploy with the newer release"):
            converge(session, ROLES)


def test_a_run_beside_another_waits_only_so_long(bare: Site) -> None:
    with (
        session_of(bare) as first,
        session_of(bare) as second,
        first.connection.transaction(),
    ):
        first.run("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        with pytest.raises(EventStoreError, match="Another run"):
            converge(second, ROLES, wait_seconds=0)


def test_what_the_server_refuses_is_told_in_one_sentence(bare: Site) -> None:
    said = r"database test_converging at .* as owner: relation .nothing. does not exist"
    with pytest.raises(EventStoreError, match=said), session_of(bare) as session:
        session.run("SELECT FROM nothing")


def test_a_schema_that_is_not_public_is_made(bare: Site) -> None:
    with session_of(bare, 'od"d schema') as session:
        converge(session, ROLES)
        assert converge(session, ROLES) == []
    with connect(bare, "app") as app:
        app.execute("""SELECT "od""d schema".append_events('a', 0, '{t}', ARRAY['{}'::jsonb])""")
        assert app.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS
