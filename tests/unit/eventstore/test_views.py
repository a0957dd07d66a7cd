"""Views are refreshed on time, one at a time, and readers never wait."""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.refreshing import refresh_views
from stellwerk.eventstore.session import Session
from stellwerk.eventstore.views import Outcome, due, refresh
from stellwerk.settings.database import MaterializedView

from .store_server import Site, connect, session_of

pytestmark = pytest.mark.programs

VIEW = "mv_portfolio_performance_summary"
TODAY = datetime.now(UTC).date()


def rows(session: Session) -> dict[str, tuple[Any, ...]]:
    found = session.rows(
        "SELECT portfolio_name, current_value_eur, initial_value_eur, gain_percent, snapshot_date"
        f" FROM {VIEW}"
    )
    return {name: row for name, *row in found}  # type: ignore[misc]


def portfolio(session: Session, name: str, initial: int, value: int, day: date = TODAY) -> None:
    number = session.value(
        "INSERT INTO portfolios (user_id, name, initial_value_eur) VALUES (1, %s, %s) RETURNING id",
        [name, initial],
    )
    session.run("INSERT INTO portfolio_snapshots VALUES (%s, %s, %s)", [number, day, value])


def record(session: Session) -> tuple[Any, ...]:
    (row,) = session.rows("SELECT seconds, failures, reason FROM view_refreshes")
    return row


def test_it_can_be_read_and_refreshed_with_no_rows(session: Session) -> None:
    session.run("DELETE FROM portfolios")
    assert due(session, {VIEW: 300}) == (VIEW,)
    done = refresh(session, VIEW, 30)
    assert done.outcome is Outcome.REFRESHED, done
    assert rows(session) == {}
    assert record(session) == (done.seconds, 0, "")
    assert due(session, {VIEW: 300}) == ()


def test_it_has_todays_snapshots_and_a_gain_on_nothing_is_unknown(session: Session) -> None:
    portfolio(session, "gains", 200, 250)
    portfolio(session, "from nothing", 0, 250)
    portfolio(session, "yesterday", 200, 250, TODAY - timedelta(days=1))
    refresh(session, VIEW, 30)
    assert rows(session) == {
        "gains": [Decimal(250), Decimal(200), Decimal(25), TODAY],
        "from nothing": [Decimal(250), Decimal(0), None, TODAY],
    }


def test_a_view_without_rows_of_any_time_is_filled(session: Session) -> None:
    """As after a restore that left it out: it can neither be read nor refreshed concurrently."""
    session.run(f"REFRESH MATERIALIZED VIEW {VIEW} WITH NO DATA")
    assert refresh(session, VIEW, 30).outcome is Outcome.REFRESHED
    assert session.value(f"SELECT count(*) >= 0 FROM {VIEW}")


def test_of_two_refreshes_at_once_one_leaves_it_to_the_other(site: Site, session: Session) -> None:
    with connect(site, "owner") as blocker, session_of(site) as second:
        blocker.execute("LOCK TABLE portfolio_snapshots")
        first: list[Outcome] = []
        running = threading.Thread(target=lambda: first.append(refresh(session, VIEW, 30).outcome))
        running.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND query LIKE 'REFRESH%'"
        )
        while not second.value(waiting):
            pass
        assert refresh(second, VIEW, 30).outcome is Outcome.BUSY
        blocker.rollback()
        running.join()
    assert first == [Outcome.REFRESHED]


def test_a_long_transaction_that_reads_holds_no_refresh_up(site: Site, session: Session) -> None:
    with connect(site, "app") as reader:
        reader.execute(f"SELECT FROM {VIEW}")
        portfolio(session, "behind a reader", 100, 110)
        assert refresh(session, VIEW, 30).outcome is Outcome.REFRESHED
    assert "behind a reader" in rows(session)


def test_a_refresh_behind_a_lock_gives_up_in_time_says_so_and_readers_go_on(
    site: Site, session: Session
) -> None:
    with connect(site, "owner") as blocker, connect(site, "app", autocommit=True) as reader:
        blocker.execute("LOCK TABLE portfolio_snapshots")
        done = refresh(session, VIEW, 0.3)
        assert done.outcome is Outcome.FAILED
        assert "statement timeout" in done.reason
        reader.execute("SET statement_timeout = '1s'")
        reader.execute(f"SELECT FROM {VIEW}")
    assert record(session)[1:] == (1, done.reason)
    assert refresh(session, VIEW, 30).outcome is Outcome.REFRESHED
    assert record(session)[1:] == (0, "")


def test_a_view_that_is_none_is_named(session: Session) -> None:
    with pytest.raises(EventStoreError, match=r"no materialized view public\.portfolios"):
        refresh(session, "portfolios", 30)


def test_a_run_refreshes_what_is_due_and_one_failure_keeps_no_other_from_its_turn(
    site: Site, session: Session
) -> None:
    session.run("CREATE MATERIALIZED VIEW a_locked_one AS SELECT count(*) FROM trades")
    session.run("UPDATE view_refreshes SET started_at = now() - interval '1 hour'")
    views = {
        VIEW: MaterializedView(refresh_interval_seconds=300),
        "a_locked_one": MaterializedView(refresh_interval_seconds=300, refresh_timeout_seconds=1),
    }
    with connect(site, "owner") as blocker:
        blocker.execute("LOCK TABLE trades")
        done = refresh_views(session, views)
    assert [(one.view, one.outcome) for one in done] == [
        ("a_locked_one", Outcome.FAILED),
        (VIEW, Outcome.REFRESHED),
    ]
    assert refresh_views(session, views) == []
    (again,) = refresh_views(session, views, ["a_locked_one"])
    assert again.outcome is Outcome.REFRESHED
    with pytest.raises(EventStoreError, match="did you mean a_locked_one"):
        refresh_views(session, views, ["a_lockd_one"])
