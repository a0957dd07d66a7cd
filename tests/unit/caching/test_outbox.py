"""Events of the database reach the cache after the commit, and only then."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest

from stellwerk.caching.outbox import SCHEMA, Connection, OutboxFollower, tell
from tests.unit.caching.test_write_behind import dsn
from tests.unit.database.conftest import binaries
from tests.unit.database.postgres_server import Binaries, Server
from tests.unit.database.postgres_server import running as running_postgres

__all__ = ["binaries"]

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def module_postgres(binaries: Binaries) -> Iterator[Server]:
    """One server for the module."""
    with running_postgres(binaries) as server:
        server.psql(SCHEMA)
        yield server


@pytest.fixture
def postgres(module_postgres: Server) -> Server:
    """It, with an empty outbox."""
    module_postgres.psql("TRUNCATE cache_events")
    return module_postgres


class Published:
    """Stands for the cache."""

    def __init__(self) -> None:
        self.connected = True
        self.events: list[tuple[str, dict[str, object]]] = []

    async def invalidate_event(self, event: str, /, **parameters: object) -> bool:
        """Note an event, unless Redis is away."""
        if self.connected:
            self.events.append((event, parameters))
        return self.connected


Act = Callable[[Published, OutboxFollower, Connection, Connection], Awaitable[None]]


def following(postgres: Server, act: Act) -> None:
    """Act with a follower, its connection, and the connection of a program."""

    async def connect() -> Connection:
        return await psycopg.AsyncConnection.connect(dsn(postgres), autocommit=True)

    async def scenario() -> None:
        published = Published()
        follower = OutboxFollower(connect, published)
        async with asyncio.timeout(30), await connect() as own, await connect() as program:
            await act(published, follower, own, program)

    asyncio.run(scenario())


def test_an_event_is_published_after_the_commit(postgres: Server) -> None:
    async def act(
        published: Published, follower: OutboxFollower, own: Connection, program: Connection
    ) -> None:
        async with program.transaction():
            await tell(program, "portfolio_updated", portfolio_id=42, user_id="a:b")
            assert await follower.publish(own) == 0
        assert await follower.publish(own) == 1
        assert published.events == [("portfolio_updated", {"portfolio_id": 42, "user_id": "a:b"})]
        assert await follower.publish(own) == 0

    following(postgres, act)


def test_a_transaction_that_is_rolled_back_tells_nothing(postgres: Server) -> None:
    async def act(
        published: Published, follower: OutboxFollower, own: Connection, program: Connection
    ) -> None:
        async with program.transaction(force_rollback=True):
            await tell(program, "portfolio_updated", portfolio_id=42)
        assert await follower.publish(own) == 0
        assert published.events == []

    following(postgres, act)


def test_while_redis_is_away_events_stay(postgres: Server) -> None:
    async def act(
        published: Published, follower: OutboxFollower, own: Connection, program: Connection
    ) -> None:
        for number in range(3):
            await tell(program, "portfolio_updated", portfolio_id=number)
        published.connected = False
        assert await follower.publish(own) == 0
        published.connected = True
        assert await follower.publish(own) == 3
        assert [parameters["portfolio_id"] for _, parameters in published.events] == [0, 1, 2]

    following(postgres, act)


def test_two_followers_publish_each_event_once(postgres: Server) -> None:
    async def act(
        published: Published, follower: OutboxFollower, _: Connection, program: Connection
    ) -> None:
        for number in range(1200):
            await tell(program, "portfolio_updated", portfolio_id=number)
        running = [asyncio.create_task(follower.run()) for _ in range(2)]
        while len(published.events) < 1200:
            await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        told = sorted(str(parameters["portfolio_id"]) for _, parameters in published.events)
        assert told == sorted(map(str, range(1200)))

    following(postgres, act)
