"""Brings the event store to what this release wants: schema, rights, indexes, order.

Safe to repeat and to kill at any moment; two runs at once take turns.
"""

import time
from typing import Final

from psycopg import sql

from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.indexes import build_indexes
from stellwerk.eventstore.migrations import migrate
from stellwerk.eventstore.rights import Roles, keep_rights
from stellwerk.eventstore.session import Session

LOCK: Final = 0x5EEE5708
"""The advisory lock of a run that is at tables and rights: any number, the same for all."""

_INDEX_LOCK: Final = 0x5EEE5709
_PAUSE_SECONDS: Final = 0.5
# An index build waits for all transactions that are older than it, and blocks nobody meanwhile.
_BUILD_WAITS: Final = "15min"


def converge(
    session: Session, roles: Roles, *, indexes: bool = True, wait_seconds: float = 600
) -> list[str]:
    """Make the event store what it should be; what was done, as sentences.

    Without `indexes` these are left for another run: only their builds take long, as they wait for
    older transactions. A run that is at the same is waited for so long. Raises EventStoreError, and
    what psycopg does.
    """
    _take_turn(session, LOCK, wait_seconds)
    done = [*migrate(session), *keep_rights(session, roles), *_keep_order(session)]
    _end_turn(session, LOCK)
    if indexes:
        _take_turn(session, _INDEX_LOCK, wait_seconds)
        session.run(f"SET lock_timeout = '{_BUILD_WAITS}'")
        session.run("SET statement_timeout = 0")
        done += build_indexes(session)
        _end_turn(session, _INDEX_LOCK)
    return done


def _take_turn(session: Session, lock: int, wait_seconds: float) -> None:
    """Hold a lock of all runs.

    It is asked for again and again: a statement that waited for it would hold a snapshot, for which
    an index build of the other run would wait in turn.
    """
    deadline = time.monotonic() + wait_seconds
    while not session.value("SELECT pg_try_advisory_lock(%s)", [lock]):
        if time.monotonic() >= deadline:
            raise EventStoreError(
                "Another run has been at the event store all the time: see pg_stat_activity for "
                "stellwerk-event-store, and try again."
            )
        time.sleep(_PAUSE_SECONDS)


def _end_turn(session: Session, lock: int) -> None:
    session.run("SELECT pg_advisory_unlock(%s)", [lock])


def _keep_order(session: Session) -> list[str]:
    """After a dump was restored into a new cluster, let its transactions count on from there."""
    with session.connection.transaction():
        shift = session.value(
            sql.SQL(
                "UPDATE {order} SET shift = newest.id - pg_current_xact_id()::text::bigint + 1"
                " FROM (SELECT max(transaction_id) AS id FROM {events}) AS newest"
                " WHERE newest.id >= pg_current_xact_id()::text::bigint + shift RETURNING shift"
            ).format(order=session.name("event_order"), events=session.name("events"))
        )
    if shift is None:
        return []
    return ["Events come from another cluster; new ones are ordered after them."]
