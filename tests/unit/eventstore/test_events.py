"""Appending and following events on a real PostgreSQL, as the role of the services."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from stellwerk.eventstore.converging import converge
from stellwerk.eventstore.errors import ConflictError
from stellwerk.eventstore.events import ANY_VERSION, BEGINNING, Event, EventStore, NewEvent, Place
from stellwerk.eventstore.session import Session

from .store_server import ROLES, Site, connect_async

pytestmark = pytest.mark.programs

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def event(number: int = 1) -> NewEvent:
    return NewEvent("counted", {"number": number})


def on(site: Site, body: Callable[[EventStore, Connection], Awaitable[None]]) -> None:
    """Run a test on a connection of the services."""

    async def run() -> None:
        async with await connect_async(site) as connection:
            await body(EventStore(connection), connection)

    asyncio.run(run())


async def end_of(store: EventStore) -> Place:
    place = BEGINNING
    while found := await store.follow(place):
        place = found[-1].place
    return place


def numbers(events: list[Event]) -> list[int]:
    return [one.payload["number"] for one in events]


def test_versions_count_from_1_and_events_read_back_as_they_were(site: Site) -> None:
    async def body(store: EventStore, _: Connection) -> None:
        payload = {"text": "ü\"'\\", "list": [1, None, 2.5]}
        assert await store.append("depot-1", 0, [NewEvent("opened", payload), event(2)]) == 2
        assert await store.append("depot-1", 2, [event(3)]) == 3
        events = await store.read("depot-1")
        assert [one.version for one in events] == [1, 2, 3]
        assert (events[0].event_type, events[0].payload) == ("opened", payload)
        assert await store.read("depot-1", after_version=1, limit=1) == [events[1]]
        assert await store.read("depot-2") == []

    on(site, body)


def test_an_append_on_another_version_is_a_conflict_and_adds_nothing(site: Site) -> None:
    async def body(store: EventStore, _: Connection) -> None:
        await store.append("conflict", 0, [event()])
        for expected in (0, 2):
            with pytest.raises(ConflictError, match=f"at version 1, not {expected}"):
                await store.append("conflict", expected, [event(), event()])
        assert len(await store.read("conflict")) == 1
        assert await store.append("conflict", ANY_VERSION, [event()]) == 2

    on(site, body)


def test_of_many_appends_on_one_version_one_wins(site: Site) -> None:
    async def attempt() -> bool:
        async with await connect_async(site) as connection:
            try:
                await EventStore(connection).append("race", 0, [event(1), event(2)])
            except ConflictError:
                return False
            return True

    async def race() -> list[bool]:
        return await asyncio.gather(*(attempt() for _ in range(8)))

    assert sorted(asyncio.run(race())) == [False] * 7 + [True]


def test_a_follower_misses_no_event_that_commits_late(site: Site) -> None:
    async def body(store: EventStore, _: Connection) -> None:
        start = await end_of(store)
        async with (
            await connect_async(site, autocommit=False) as slow,
            await connect_async(site, autocommit=False) as undone,
        ):
            await EventStore(slow).append("slow", 0, [event(1)])
            await EventStore(undone).append("undone", 0, [event(2)])
            await store.append("quick", 0, [event(3)])
            # The quick one is committed, but an earlier one may still come.
            assert await store.follow(start) == []
            await undone.rollback()
            assert await store.follow(start) == []
            await slow.commit()
        found = await store.follow(start)
        assert numbers(found) == [1, 3]
        assert await store.follow(found[0].place) == found[1:]

    on(site, body)


def test_what_else_is_written_holds_no_follower_back(site: Site, session: Session) -> None:
    async def body(store: EventStore, _: Connection) -> None:
        start = await end_of(store)
        with session.connection.transaction():
            session.run("CREATE TABLE of_another_transaction ()")
            await store.append("not held back", 0, [event()])
            assert len(await store.follow(start)) == 1

    on(site, body)


def test_many_writers_and_a_follower_agree_on_one_order(site: Site) -> None:
    writers, appends = 6, 25

    async def write(writer: int) -> None:
        async with await connect_async(site) as connection:
            store = EventStore(connection)
            for number in range(appends):
                await store.append(f"order-{writer}", number, [event(number)])

    async def body(store: EventStore, _: Connection) -> None:
        place = start = await end_of(store)
        seen: list[Event] = []
        writing = asyncio.gather(*(write(writer) for writer in range(writers)))
        while not writing.done() or len(seen) < writers * appends:
            found = await store.follow(place, limit=7)
            seen += found
            place = found[-1].place if found else place
            assert len(seen) <= writers * appends
        await writing
        assert seen == [one async for one in store.all_after(start, batch=50)]
        for writer in range(writers):
            mine = [one.version for one in seen if one.aggregate_id == f"order-{writer}"]
            assert mine == list(range(1, appends + 1))

    asyncio.run(asyncio.wait_for(_on(site, body), timeout=60))


async def _on(site: Site, body: Callable[[EventStore, Connection], Awaitable[None]]) -> None:
    async with await connect_async(site) as connection:
        await body(EventStore(connection), connection)


def test_a_transaction_appends_before_it_writes_anything_else(site: Site) -> None:
    async def body(store: EventStore, connection: Connection) -> None:
        asset = "INSERT INTO assets (symbol, name) VALUES (%s, 'any')"
        async with connection.transaction():
            await store.append("first", 0, [event()])
            await connection.execute(asset, ["FIRST"])
            await store.append("first", 1, [event()])
        async with connection.transaction(force_rollback=True):
            await connection.execute(asset, ["SECOND"])
            with pytest.raises(psycopg.DatabaseError, match="has written before it appends"):
                await store.append("second", 0, [event()])
        assert len(await store.read("first")) == 2
        assert await store.read("second") == []

    on(site, body)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events (transaction_id, aggregate_id, version, event_type, payload)"
        " VALUES (1, 'forged', 1, 'any', '{}')",
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE event_order SET shift = 0",
        "CREATE TABLE another ()",
        "REFRESH MATERIALIZED VIEW mv_portfolio_performance_summary",
    ],
)
def test_services_can_only_append(site: Site, statement: str) -> None:
    async def body(_: EventStore, connection: Connection) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)

    on(site, body)


def test_the_collector_sees_refreshes_and_no_data(site: Site) -> None:
    async def look() -> None:
        async with await connect_async(site, "monitor") as connection:
            await connection.execute("SELECT * FROM view_refreshes")
            for relation in ("events", "portfolios", "mv_portfolio_performance_summary"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(f"SELECT FROM {relation}")

    asyncio.run(look())


def test_events_of_another_cluster_come_before_those_appended_after_them(
    site: Site, session: Session
) -> None:
    """As after a dump was restored: its transactions have larger numbers than any here."""
    far = 10**12
    session.run(
        "INSERT INTO events (transaction_id, aggregate_id, version, event_type, payload)"
        f" VALUES ({far}, 'restored', 1, 'counted', '{{\"number\": 1}}')"
    )
    assert len(converge(session, ROLES)) == 1
    assert converge(session, ROLES) == []

    async def body(store: EventStore, _: Connection) -> None:
        await store.append("restored", 1, [event(2)])
        found = await store.follow(Place(far - 1, 0))
        assert numbers(found) == [1, 2]

    on(site, body)
