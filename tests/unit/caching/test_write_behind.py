"""Write-behind into a real PostgreSQL: nothing acknowledged is lost, nothing is applied twice."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import DeclarationError
from stellwerk.caching.journal import opened
from stellwerk.caching.layer import Layer
from stellwerk.caching.write_behind import SCHEMA, Connection, Write, WriteBehind, adopt
from stellwerk.settings.caching import WriteBehind as Settings
from tests.unit.caching.opened import Node, Source, address, run, until
from tests.unit.caching.redis_server import PATIENCE_SECONDS, RedisServer, running
from tests.unit.caching.shipped import caching
from tests.unit.database.conftest import binaries
from tests.unit.database.postgres_server import Binaries, Server
from tests.unit.database.postgres_server import running as running_postgres

__all__ = ["binaries"]

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[3]
PENDING = 5_000
TABLE = (
    "CREATE TABLE items (id bigint PRIMARY KEY, value text CHECK (value <> 'poison'), times int)"
)


@pytest.fixture(scope="module")
def module_postgres(binaries: Binaries) -> Iterator[Server]:
    """One server for the module."""
    with running_postgres(binaries) as server:
        server.psql(f"{SCHEMA}; {TABLE}")
        yield server


@pytest.fixture
def postgres(module_postgres: Server) -> Server:
    """It, with empty tables."""
    module_postgres.psql("TRUNCATE items, cache_journals")
    return module_postgres


class Database:
    """What a test's writes are applied to: can be down, and be held while it applies."""

    def __init__(self, server: Server) -> None:
        self.dsn = dsn(server)
        self.down = False
        self.refusals = 0
        self.open = asyncio.Event()
        self.open.set()
        self.batches: list[list[Any]] = []
        self.made: list[datetime] = []
        self.connected: list[Connection] = []

    async def connect(self) -> Connection:
        """A connection, unless it is down."""
        if self.down:
            raise OSError("the database is down")
        self.connected.append(await psycopg.AsyncConnection.connect(self.dsn, autocommit=True))
        return self.connected[-1]

    async def apply(self, connection: Connection, writes: Sequence[Write]) -> None:
        """Store the writes."""
        if self.down:
            raise psycopg.OperationalError("the connection is lost")
        if self.refusals:
            self.refusals -= 1
            raise psycopg.errors.ReadOnlySqlTransaction("this is a standby now")
        await self.open.wait()
        self.batches.append([write.fields["id"] for write in writes])
        self.made += [write.made for write in writes]
        for write in writes:
            await connection.execute(
                "INSERT INTO items (id, value, times) VALUES (%s, %s, 1)"
                " ON CONFLICT (id) DO UPDATE SET value = excluded.value, times = items.times + 1",
                (write.fields["id"], write.value),
            )


def dsn(server: Server) -> str:
    """How psycopg reaches a test's server."""
    return f"host={server.data.parent} user=postgres dbname=postgres"


Act = Callable[[WriteBehind, Layer[Any], Database], Awaitable[None]]


def behind(
    redis: RedisServer,
    postgres: Server,
    folder: Path,
    act: Act,
    *,
    name: str = "one",
    drain_seconds: float = PATIENCE_SECONDS,
    **settings: Any,
) -> None:
    """Act with an open write-behind, and drain it."""

    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        database = Database(postgres)
        chosen = Settings(directory=str(folder), **({"retry_pause_ms": 10} | settings))
        async with WriteBehind(
            chosen, name, database.connect, {layer: database.apply}, drain_seconds=drain_seconds
        ) as writes:
            await act(writes, layer, database)

    run(redis, scenario)


def items(postgres: Server) -> dict[int, tuple[str, int]]:
    """What the database has: value and how often it was applied, by id."""
    rows = postgres.psql("SELECT id, value, times FROM items").splitlines()
    return {int(row.split("|")[0]): (row.split("|")[1], int(row.split("|")[2])) for row in rows}


def test_5000_pending_writes_survive_the_kill_of_process_and_redis(
    postgres: Server, tmp_path: Path
) -> None:
    with running() as redis:
        first = process(redis, postgres, tmp_path, "first")
        assert first.stdout is not None
        assert int(first.stdout.readline()) == PENDING
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        redis.kill()
        redis.start()
        assert items(postgres) == {}
        # The second is killed too, in the middle of applying, wherever that is.
        second = process(redis, postgres, tmp_path, "again")
        while not items(postgres):
            assert second.poll() is None
        os.kill(second.pid, signal.SIGKILL)
        second.wait()
        assert process(redis, postgres, tmp_path, "again").wait(timeout=60) == 0
    assert items(postgres) == {number: (f"value {number}", 1) for number in range(PENDING)}


def process(
    redis: RedisServer, postgres: Server, folder: Path, when: str
) -> "subprocess.Popen[str]":
    """A process with pending writes."""
    program = [sys.executable, "-m", "tests.unit.caching.writing_process", str(redis.port)]
    return subprocess.Popen(
        [*program, dsn(postgres), str(folder), str(PENDING), when],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )


def test_of_several_writes_of_an_entry_the_newest_wins(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        for number in range(10):
            for item in (1, 2):
                await writes.write(layer, f"{number}", shop=1, id=item)
        database.open.set()
        await writes.drained()
        assert sum(map(len, database.batches)) < 20

    behind(redis, postgres, tmp_path, act)
    assert {item: value for item, (value, _) in items(postgres).items()} == {1: "9", 2: "9"}


def test_readers_get_the_pending_value_whatever_redis_has(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        old = Source("old")
        await writes.write(layer, "pending", shop=1, id=1)
        redis.command("FLUSHALL")
        await layer.invalidate(shop=1, id=1)
        assert await layer.get(shop=1, id=1, load=old.load) == "pending"
        assert await layer.peek(shop=1, id=1) == "pending"
        assert await layer.get_many([{"shop": 1, "id": 1}]) == ["pending"]
        database.open.set()
        await writes.drained()
        assert await layer.get(shop=1, id=1, load=Source("applied").load) == "applied"

    behind(redis, postgres, tmp_path, act)


def test_what_another_process_loaded_before_the_database_had_it_makes_way(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        await writes.write(layer, "new", shop=1, id=1)
        redis.command("DEL", "item:1:1")
        async with Cache(caching(), address(redis)) as cache:
            other, source = cache.layer("shop.item"), Source("old")
            assert await other.get(shop=1, id=1, load=source.load) == "old"
            source.value = "new"
            database.open.set()
            await writes.drained()
            assert await other.get(shop=1, id=1, load=source.load) == "new"

    behind(redis, postgres, tmp_path, act)


def test_a_poisoned_write_is_set_aside_and_holds_up_no_other(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        for number in range(20):
            await writes.write(layer, "poison" if number == 7 else "good", shop=1, id=number)
        database.open.set()
        await writes.drained()
        (aside,) = writes.refused()
        assert aside.key == "item:1:7"
        assert "violates check constraint" in aside.error
        assert writes.set_aside == 1

    behind(redis, postgres, tmp_path, act, attempts=2)
    assert sorted(items(postgres)) == [number for number in range(20) if number != 7]
    assert {times for _, times in items(postgres).values()} == {1}


def test_a_database_that_is_away_costs_time_and_no_write(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        for number in range(30):
            database.down = number % 10 < 5
            await writes.write(layer, "value", shop=1, id=number)
        database.down = False
        await writes.drained()
        assert writes.refused() == []

    behind(redis, postgres, tmp_path, act)
    assert items(postgres) == dict.fromkeys(range(30), ("value", 1))


@pytest.mark.parametrize(
    ("trouble", "end"),
    [
        ("ALTER TABLE cache_journals RENAME TO gone", "ALTER TABLE gone RENAME TO cache_journals"),
        (
            "ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()",
            "SET default_transaction_read_only = off;"
            " ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()",
        ),
    ],
    ids=["a missing table", "a server that takes no writes"],
)
def test_a_database_in_trouble_is_not_blamed_on_a_write(
    redis: RedisServer, postgres: Server, tmp_path: Path, trouble: str, end: str
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        _each(postgres, trouble)
        try:
            await writes.write(layer, "value", shop=1, id=1)
            tried = len(database.connected)
            await until(lambda: len(database.connected) > tried + 5)
            assert (writes.pending, writes.refused()) == (1, [])
        finally:
            _each(postgres, end)
        await writes.drained()

    behind(redis, postgres, tmp_path, act, attempts=2)
    assert items(postgres) == {1: ("value", 1)}


def test_a_standby_that_takes_no_writes_is_not_blamed_on_them(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.refusals = 5
        await writes.write(layer, "value", shop=1, id=1)
        await writes.drained()
        assert writes.refused() == []

    behind(redis, postgres, tmp_path, act, attempts=2)
    assert items(postgres) == {1: ("value", 1)}


def _each(postgres: Server, statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    for statement in statements.split(";"):
        postgres.psql(statement)


def test_a_write_that_was_applied_is_not_pending_after_a_restart(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def first(writes: WriteBehind, layer: Layer[Any], _: Database) -> None:
        await writes.write(layer, "before", shop=1, id=1)

    async def again(_: WriteBehind, layer: Layer[Any], __: Database) -> None:
        assert await layer.get(shop=1, id=1, load=Source("after").load) == "after"

    behind(redis, postgres, tmp_path, first)
    redis.command("FLUSHALL")
    behind(redis, postgres, tmp_path, again)


def test_a_write_with_keys_of_a_former_release_holds_up_no_other(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        await writes.write(layer, "former", shop=1, id=1)
        former = msgspec.msgpack.encode({"id": 1})
        writes._queue[0] = msgspec.structs.replace(writes._queue[0], fields=former)
        await writes.write(layer, "present", shop=1, id=2)
        database.open.set()
        await writes.drained()

    behind(redis, postgres, tmp_path, act)
    assert sorted(items(postgres)) == [1, 2]


def test_an_applier_is_told_when_a_write_was_made(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        for number in (1, 2):
            await writes.write(layer, "value", shop=1, id=number)
        await writes.drained()
        first, second = database.made
        assert first <= second
        assert second.tzinfo is UTC

    behind(redis, postgres, tmp_path, act)


def test_at_the_bound_a_write_waits_for_the_database(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        for number in range(3):
            await writes.write(layer, "value", shop=1, id=number)
        beyond = asyncio.create_task(writes.write(layer, "value", shop=1, id=3))
        await until(lambda: writes.pending == 4)
        assert not beyond.done()
        database.open.set()
        await beyond
        assert 3 in items(postgres)

    behind(redis, postgres, tmp_path, act, pending_max=3)


async def three_writes(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
    """Leave three writes behind, as a process whose database is away when it ends."""
    database.down = True
    for number in range(3):
        await writes.write(layer, "left", shop=1, id=number)


def test_what_a_gone_process_left_is_applied_by_another(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], _: Database) -> None:
        await writes.write(layer, "own", shop=1, id=9)
        await until(lambda: len(items(postgres)) == 4)
        assert writes.refused() == []

    behind(redis, postgres, tmp_path, three_writes, name="gone", drain_seconds=0)
    assert items(postgres) == {}
    behind(redis, postgres, tmp_path, act)
    assert sorted(items(postgres)) == [0, 1, 2, 9]


def test_a_process_that_ends_while_others_run_is_noticed(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(_: WriteBehind, layer: Layer[Any], __: Database) -> None:
        other = Database(postgres)
        chosen = Settings(directory=str(tmp_path))
        async with WriteBehind(
            chosen, "two", other.connect, {layer: other.apply}, drain_seconds=0
        ) as two:
            await three_writes(two, layer, other)
            assert items(postgres) == {}
        await until(lambda: len(items(postgres)) == 3)

    behind(redis, postgres, tmp_path, act, adopt_seconds=1)


def test_journals_are_adopted_on_request(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def scenario(node: Node) -> None:
        layer, database = (await node.cache()).layer("shop.item"), Database(postgres)
        chosen = Settings(directory=str(tmp_path))
        assert await adopt(chosen, database.connect, {layer: database.apply}) == 3
        assert await adopt(chosen, database.connect, {layer: database.apply}) == 0
        assert list(tmp_path.glob("*/*.journal")) == []

    behind(redis, postgres, tmp_path, three_writes, name="gone", drain_seconds=0)
    run(redis, scenario)
    assert sorted(items(postgres)) == [0, 1, 2]


def test_readers_keep_their_own_pending_value_while_an_older_one_is_adopted(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def act(writes: WriteBehind, layer: Layer[Any], database: Database) -> None:
        database.open.clear()
        await writes.write(layer, "newer", shop=1, id=1)
        adopting = asyncio.create_task(
            adopt(Settings(directory=str(tmp_path)), database.connect, {layer: database.apply})
        )
        await until(lambda: len(database.connected) >= 2)
        redis.command("FLUSHALL")
        assert await layer.peek(shop=1, id=1) == "newer"
        database.open.set()
        await adopting

    behind(redis, postgres, tmp_path, three_writes, name="gone", drain_seconds=0)
    behind(redis, postgres, tmp_path, act)


def test_a_process_whose_journal_is_being_adopted_waits_for_it(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    async def scenario(node: Node) -> None:
        layer, database = (await node.cache()).layer("shop.item"), Database(postgres)
        chosen = Settings(directory=str(tmp_path))
        adopted = opened(tmp_path / "one")
        starting = WriteBehind(chosen, "one", database.connect, {layer: database.apply})
        entering = asyncio.create_task(starting.__aenter__())
        await asyncio.sleep(0)
        assert not entering.done()
        await adopted.close()
        await entering
        await starting.__aexit__(None, None, None)

    run(redis, scenario)


def test_leaving_drains_and_refuses_further_writes(
    redis: RedisServer, postgres: Server, tmp_path: Path
) -> None:
    left: list[Any] = []

    async def act(writes: WriteBehind, layer: Layer[Any], _: Database) -> None:
        left.extend((writes, layer))
        for number in range(10):
            await writes.write(layer, "value", shop=1, id=number)

    behind(redis, postgres, tmp_path, act)
    assert len(items(postgres)) == 10
    with pytest.raises(DeclarationError, match="takes no writes behind"):
        asyncio.run(left[0].write(left[1], "value", shop=1, id=1))
