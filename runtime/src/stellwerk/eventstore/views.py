"""Refreshes materialized views: without blocking readers, one at a time, and with a record.

Which views and how often is in the settings (`database.views`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql

from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.session import Session

# The first half of the advisory lock of a view; the second is its name's hash.
_LOCK_CLASS: Final = 0x5EEE
_LOCK_SECONDS: Final = 5
_TIMER_ACCURACY_SECONDS: Final = 1.0


class Outcome(StrEnum):
    """How a refresh ended."""

    REFRESHED = "refreshed"
    BUSY = "is being refreshed by another run"
    FAILED = "failed"


@dataclass(frozen=True)
class Refresh:
    """One refresh of a view: how it ended, how long it took, and why it failed."""

    view: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        if self.outcome is Outcome.BUSY:
            return f"{self.view} {self.outcome}."
        why = f": {self.reason}" if self.reason else ""
        return f"{self.view} {self.outcome} in {self.seconds:.2f} s{why}."


def due(session: Session, intervals: Mapping[str, float]) -> tuple[str, ...]:
    """The views whose last refresh began an interval (in seconds) ago or never, by name."""
    query = sql.SQL(
        "SELECT view, extract(epoch FROM clock_timestamp() - started_at)::float FROM {}"
    ).format(session.name("view_refreshes"))
    ages: dict[str, float] = dict(session.rows(query))
    return tuple(
        view
        for view, interval in sorted(intervals.items())
        if ages.get(view, interval) >= interval - _TIMER_ACCURACY_SECONDS
    )


def refresh(session: Session, view: str, timeout_seconds: float) -> Refresh:
    """Refresh a view within so many seconds, and write down how that went.

    Readers see the rows of before until it is done. It gives up after 5 s where a lock on its
    tables is in the way. Raises EventStoreError where there is no such view.
    """
    populated, concurrently = _state(session, view)
    if not session.value("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK_CLASS, view]):
        return Refresh(view, Outcome.BUSY)
    done = _refresh(session, view, timeout_seconds, populated and concurrently)
    session.run("SELECT pg_advisory_unlock(%s, hashtext(%s))", [_LOCK_CLASS, view])
    return done


def _state(session: Session, view: str) -> tuple[bool, bool]:
    """Whether a view has rows or could have some, and whether it can be refreshed concurrently."""
    found = session.rows(
        "SELECT relispopulated, EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid"
        " AND indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL)"
        " FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'm'",
        [session.name(view).as_string(session.connection)],
    )
    if not found:
        raise EventStoreError(
            f"There is no materialized view {session.schema}.{view}: create it, or take it out of "
            "database.views."
        )
    populated, concurrently = found[0]
    return bool(populated), bool(concurrently)


def _refresh(session: Session, view: str, timeout_seconds: float, concurrently: bool) -> Refresh:
    how = "CONCURRENTLY " if concurrently else ""
    statement = sql.SQL(f"REFRESH MATERIALIZED VIEW {how}{{}}").format(session.name(view))
    session.run(f"SET statement_timeout = {int(1000 * timeout_seconds)}")
    session.run(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
    _begun(session, view)
    began = time.monotonic()
    try:
        session.run(statement)
    except psycopg.Error as error:
        if session.connection.broken:
            raise
        done = Refresh(view, Outcome.FAILED, time.monotonic() - began, _sentence(error))
    else:
        done = Refresh(view, Outcome.REFRESHED, time.monotonic() - began)
    _ended(session, done)
    return done


def _begun(session: Session, view: str) -> None:
    session.run(
        sql.SQL(
            "INSERT INTO {} (view, started_at) VALUES (%s, clock_timestamp())"
            " ON CONFLICT (view) DO UPDATE SET started_at = excluded.started_at"
        ).format(session.name("view_refreshes")),
        [view],
    )


def _ended(session: Session, done: Refresh) -> None:
    table = session.name("view_refreshes")
    if done.outcome is Outcome.REFRESHED:
        session.run(
            sql.SQL(
                "UPDATE {} SET refreshed_at = clock_timestamp(), seconds = %s, failures = 0,"
                " reason = '' WHERE view = %s"
            ).format(table),
            [done.seconds, done.view],
        )
        return
    session.run(
        sql.SQL("UPDATE {} SET failures = failures + 1, reason = %s WHERE view = %s").format(table),
        [done.reason, done.view],
    )


def _sentence(error: psycopg.Error) -> str:
    return (error.diag.message_primary or "no reason given").rstrip(".")
