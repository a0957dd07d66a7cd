"""What a deploy reads of the ledger, and answers that are none."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from stellwerk.database.state import LedgerState, parse_state, state_script
from stellwerk.instances.documents import (
    SNAPSHOT_QUERY,
    DocumentError,
    parse_snapshot,
    snapshot_query,
)
from stellwerk.instances.grants import Privilege
from stellwerk.instances.migrations import LATEST
from stellwerk.instances.model import Service, Snapshot
from tests.unit.instances.ledger_server import AGENT, DATABASE, LedgerServer

EMPTY = {
    "at": "2026-01-02T03:04:05.5+01:00",
    **{name: [] for name in ("services", "desired", "rollouts", "judged")},
    **{name: [] for name in ("instances", "sightings", "agents")},
}


@pytest.fixture
def newer(ledger_server: LedgerServer) -> Iterator[LedgerServer]:
    """A ledger that a newer release has migrated."""
    ledger_server.psql(
        f"INSERT INTO stellwerk.migrations (version, name) VALUES ({LATEST + 1}, 'future')"
    )
    yield ledger_server
    ledger_server.psql(f"DELETE FROM stellwerk.migrations WHERE version > {LATEST}")


def test_text_and_parsed_json_are_read_and_times_become_utc() -> None:
    expected = Snapshot(at=datetime(2026, 1, 2, 2, 4, 5, 500_000, UTC))
    assert parse_snapshot(json.dumps(EMPTY)) == parse_snapshot(EMPTY) == expected


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        json.dumps({**EMPTY, "services": [{"name": "secret"}]}),
        json.dumps({**EMPTY, "agents": [{"host": "secret", "role": "kitchen"}]}),
        json.dumps({**EMPTY, "at": "secret"}),
    ],
)
def test_an_answer_that_is_none_is_refused_without_being_shown(document: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse_snapshot(document)
    assert "secret" not in str(refused.value)


def test_a_service_cannot_carry_sql() -> None:
    assert "name = 'a''; DROP TABLE x'" in snapshot_query("a'; DROP TABLE x")


@pytest.mark.programs
def test_the_snapshot_can_be_read_by_psql_in_any_time_zone(ledger_server: LedgerServer) -> None:
    ledger_server.declare("shop")
    read = ledger_server.psql(f"SET timezone = 'Asia/Kolkata'; {SNAPSHOT_QUERY};")
    snapshot = parse_snapshot(read)
    assert snapshot.services == {"shop": Service("shop", "1" * 16, None, 0)}
    assert abs((snapshot.at - datetime.now(UTC)).total_seconds()) < 3600


@pytest.mark.programs
def test_a_deploy_reads_the_ledger_with_the_state_of_the_server(
    ledger_server: LedgerServer,
) -> None:
    ledger_server.declare("it's \\ here & <there>".replace("'", "''"))
    found = ledger_server.state().ledger_of(DATABASE)
    assert found.version == LATEST
    assert Privilege(AGENT, "TABLE", "services", "UPDATE", "stable") in found.privileges
    assert found.snapshot is not None
    assert set(found.snapshot.services) == {"it's \\ here & <there>"}


@pytest.mark.programs
def test_where_no_ledger_is_a_deploy_reads_none(ledger_server: LedgerServer) -> None:
    ledger_server.psql("CREATE DATABASE another")
    try:
        answer = ledger_server.server.psql(state_script("another"))
        assert parse_state(answer).ledger_of("another") == LedgerState()
    finally:
        ledger_server.psql("DROP DATABASE another")


@pytest.mark.programs
def test_what_a_newer_ledger_says_is_not_guessed_at(newer: LedgerServer) -> None:
    found = newer.state().ledger_of(DATABASE)
    assert (found.version, found.snapshot) == (LATEST + 1, None)
