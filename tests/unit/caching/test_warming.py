"""Warming: so many at a time, so long at most, and through the layers' own loaders."""

import asyncio
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from stellwerk.caching.statements import Statements, reading
from stellwerk.caching.warming import Warmed, rows, warm
from stellwerk.settings.caching import Warming
from tests.unit.caching.opened import Node, run
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.test_write_behind import dsn
from tests.unit.database.conftest import binaries
from tests.unit.database.postgres_server import Binaries
from tests.unit.database.postgres_server import running as running_postgres

__all__ = ["binaries"]

pytestmark = pytest.mark.programs


def test_what_is_not_there_is_loaded_by_so_many_workers(redis: RedisServer) -> None:
    at_once: list[int] = []
    loaded: list[int] = []

    async def load(shop: int, id: int) -> str:  # noqa: A002 - the field's name
        at_once.append(shop)
        assert len(at_once) <= 4
        await asyncio.sleep(0)
        loaded.append(id)
        at_once.remove(shop)
        return "warm"

    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item", load=load)
        await layer.set("there", shop=1, id=7)
        wanted = [(layer, {"shop": 1, "id": number}) for number in range(20)]
        assert await warm(Warming(workers=4), wanted) == Warmed(there=20)
        assert sorted(loaded) == [number for number in range(20) if number != 7]
        assert await layer.peek(shop=1, id=3) == "warm"

    run(redis, scenario)


def test_a_load_that_fails_costs_only_itself(redis: RedisServer) -> None:
    async def load(shop: int, id: int) -> str:  # noqa: A002 - the field's name
        if id % 2:
            raise OSError("no answer")
        return f"{shop}"

    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item", load=load)
        wanted = [(layer, {"shop": 1, "id": number}) for number in range(10)]
        assert await warm(Warming(), wanted) == Warmed(there=5, failed=5)

    run(redis, scenario)


def test_it_ends_after_its_time(redis: RedisServer) -> None:
    async def load(shop: int, id: int) -> str:  # noqa: A002 - the field's name
        await asyncio.sleep(3600)
        return f"{shop} {id}"

    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item", load=load)
        wanted: list[Any] = [(layer, {"shop": 1, "id": number}) for number in range(10)]
        settings = Warming.model_construct(workers=4, timeout_seconds=0.01)  # type: ignore[arg-type]
        assert await warm(settings, wanted) == Warmed(left=10)

    run(redis, scenario)


def test_a_statement_says_what_is_loaded(binaries: Binaries) -> None:
    async def scenario() -> None:
        async with await psycopg.AsyncConnection.connect(dsn(server)) as connection:
            statement = "SELECT n AS id, 'a' AS period FROM generate_series(1, %s) AS n"
            assert await rows(connection, statement, 2) == [
                {"id": 1, "period": "a"},
                {"id": 2, "period": "a"},
            ]

    async def read_only() -> None:
        statements = Statements(reading(dsn(server)))
        assert await statements.value("SELECT %(id)s::int AS id, 1.5 AS total", {"id": 3}) == {
            "id": 3,
            "total": Decimal("1.5"),
        }
        assert await statements.value("SELECT '[1]'::json AS value", {}) == [1]
        assert await statements.value("SELECT 1 WHERE false", {}) is None
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await statements.rows("CREATE TABLE written (id int)", {})
        assert len(await statements.rows("SELECT 1", {})) == 1
        await statements.close()

    with running_postgres(binaries) as server:
        asyncio.run(scenario())
        asyncio.run(read_only())
