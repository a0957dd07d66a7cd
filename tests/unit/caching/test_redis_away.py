"""Redis frozen, killed or absent: the loaders answer, and nobody waits for it twice."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from stellwerk.caching import client
from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.caching.connection import Connection
from stellwerk.caching.errors import RedisAwayError
from stellwerk.endpoint import Endpoint
from tests.unit.caching.opened import Node, Source, address, run, until
from tests.unit.caching.redis_server import RedisServer, free_port, running
from tests.unit.caching.shipped import caching

pytestmark = pytest.mark.programs

CLOSES_AFTER_SECONDS = 1
LOCAL = caching(layer={"local_seconds": 30})


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A server that a test may stop."""
    with running() as server:
        yield server


def test_a_frozen_redis_holds_a_caller_up_once_and_then_nobody(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(client={"operation_timeout_ms": 1000})
        cache = await node.cache(settings)
        layer, source = cache.layer("shop.item"), Source("value")
        assert await layer.set("value", shop=1, id=2)
        redis.freeze()
        assert await layer.get(shop=1, id=2, load=source.load) == "value"
        for number in range(100):
            assert not cache.connected, "nothing more is sent to it"
            assert await layer.get(shop=1, id=number, load=source.load) == "value"
        assert source.loads == 101
        redis.thaw()
        while await layer.peek(shop=1, id=2) != "value":
            await asyncio.sleep(0)

    run(redis, scenario)


def test_all_that_wait_when_redis_freezes_share_one_load(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(client={"operation_timeout_ms": 1000})
        layer, source = (await node.cache(settings)).layer("shop.item"), Source("value")
        redis.freeze()
        calls = [layer.get(shop=1, id=2, load=source.load) for _ in range(100)]
        assert set(await asyncio.gather(*calls)) == {"value"}
        assert source.loads == 1

    run(redis, scenario)


def test_an_answer_that_is_coming_is_waited_for() -> None:
    async def scenario() -> None:
        connection, now = Connection(timeout=0), asyncio.get_running_loop().time
        answer = connection.send("GET", "key")
        connection.data_received(b"$1000000\r\n")
        end = now() + 0.1
        while now() < end:
            connection.data_received(b"x")
            await asyncio.sleep(0)
        assert not connection.lost.done()
        assert await connection.lost == "no answer in time"
        with pytest.raises(RedisAwayError):
            await answer

    asyncio.run(scenario())


def test_a_killed_redis_is_done_without_and_used_again(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer, source = cache.layer("shop.item"), Source("value")
        await layer.get(shop=1, id=2, load=source.load)
        redis.kill()
        await until(lambda: not cache.connected)
        assert await layer.get(shop=1, id=2, load=source.load) == "value"
        assert await layer.peek(shop=1, id=2) is None
        assert not await layer.set("other", shop=1, id=2)
        redis.start()
        await until(lambda: cache.connected)
        for _ in range(2):
            assert await layer.get(shop=1, id=2, load=source.load) == "value"
        assert source.loads == 3

    run(redis, scenario)


def test_a_server_that_closes_idle_connections_keeps_an_idle_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "_PING_SECONDS", 0.2)

    async def scenario(node: Node) -> None:
        cache = await node.cache()
        await until(lambda: oldest_connection(server) > 2 * CLOSES_AFTER_SECONDS)
        assert cache.connected

    with running("--timeout", str(CLOSES_AFTER_SECONDS)) as server:
        run(server, scenario)


def oldest_connection(server: RedisServer) -> int:
    """The seconds since the oldest connection was made."""
    return max(map(int, re.findall(r" age=(\d+)", server.command("CLIENT", "LIST"))))


def test_a_program_starts_without_redis() -> None:
    async def scenario() -> None:
        nowhere = RedisAddress(Endpoint("127.0.0.1", free_port()))
        async with Cache(caching(), nowhere) as cache:
            assert await cache.layer("shop.item").get(shop=1, id=2, load=Source("x").load) == "x"

    asyncio.run(scenario())


def test_own_copies_are_not_used_while_redis_is_away(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer, source = cache.layer("shop.item"), Source("old")
        for _ in range(2):
            await layer.get(shop=1, id=2, load=source.load)
        assert layer.statistics.local_hits == 1
        redis.kill()
        await until(lambda: not cache.connected)
        source.value = "new"
        assert await layer.get(shop=1, id=2, load=source.load) == "new"

    run(redis, scenario)


def test_an_invalidation_while_redis_is_away_is_made_up_before_it_is_read(
    redis: RedisServer,
) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(client={"operation_timeout_ms": 1000}))
        layer, source = cache.layer("shop.item"), Source("new")
        for number in (1, 2, 3, 4):
            await layer.set("old", shop=number, id=1, tags=["eu"] if number == 3 else [])
        redis.freeze()
        assert not await layer.invalidate(shop=1, id=1)
        assert not await cache.invalidate("item:2:*")
        assert not await cache.invalidate_tags("eu")
        redis.thaw()
        await until(lambda: cache.connected)
        while await layer.peek(shop=4, id=1) != "old":
            await asyncio.sleep(0.01)
        values = [await layer.get(shop=shop, id=1, load=source.load) for shop in (1, 2, 3)]
        assert values == ["new", "new", "new"]

    run(redis, scenario)


def test_redis_is_used_again_while_much_is_being_written(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item")
        ended = asyncio.Event()

        async def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                await layer.set(number, shop=1, id=number)
                await asyncio.sleep(0)

        writing = asyncio.create_task(write())
        redis.kill()
        await until(lambda: not cache.connected)
        redis.start()
        await until(lambda: cache.connected)
        ended.set()
        await writing

    run(redis, scenario)


def test_a_write_while_redis_is_away_leaves_no_older_value(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(client={"operation_timeout_ms": 1000}))
        layer, source = cache.layer("shop.item"), Source("saved")
        await layer.set("old", shop=1, id=1)
        await layer.set("old", shop=1, id=2)
        redis.freeze()
        assert not await layer.set("saved", shop=1, id=1)
        await layer.write_through("saved", source.load, shop=1, id=2)
        redis.thaw()
        await until(lambda: cache.connected)
        for number in (1, 2):
            assert await layer.get(shop=1, id=number, load=source.load) == "saved"

    run(redis, scenario)


def test_a_redis_that_is_full_costs_the_cache_and_no_answer(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.command("CONFIG", "SET", "maxmemory", "1")
        assert await layer.get(shop=1, id=2, load=Source("value").load) == "value"
        assert not await layer.set("value", shop=1, id=2)

    run(redis, scenario)


def test_a_redis_that_is_full_still_loses_what_is_invalid(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item")
        for number in (1, 2, 3):
            await layer.set("old", shop=number, id=1)
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis.command("CONFIG", "SET", "maxmemory", "1")
        assert await layer.invalidate(shop=1, id=1)
        assert await cache.invalidate("item:2:*")
        assert not await layer.set("new", shop=3, id=1)
        assert cache.connected
        assert [await layer.peek(shop=number, id=1) for number in (1, 2, 3)] == [None] * 3

    run(redis, scenario)


def test_a_redis_that_refuses_an_invalidation_is_not_read_before_it_was_done(
    redis: RedisServer,
) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer, source = cache.layer("shop.item"), Source("new")
        await layer.set("old", shop=1, id=1)
        redis.command("ACL", "SETUSER", "default", "-unlink")
        assert not await layer.invalidate(shop=1, id=1)
        assert await layer.get(shop=1, id=1, load=source.load) == "new"
        redis.command("ACL", "SETUSER", "default", "+unlink")
        await until(lambda: cache.connected)
        assert await layer.get(shop=1, id=1, load=source.load) == "new"

    run(redis, scenario)


def test_an_invalidation_that_redis_lost_is_repeated(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer, source = cache.layer("shop.item"), Source("new")
        for number in (1, 2):
            await layer.set("old", shop=number, id=1)
        redis.command("SAVE")
        assert await layer.invalidate(shop=1, id=1)
        redis.kill()
        redis.start()
        await until(lambda: not cache.connected)
        await until(lambda: cache.connected)
        assert await layer.peek(shop=2, id=1) == "old", "it started from its snapshot"
        assert await layer.get(shop=1, id=1, load=source.load) == "new"

    run(redis, scenario)


def test_of_a_write_that_redis_lost_nothing_older_is_left(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer, source = cache.layer("shop.item"), Source("new")
        for number in (1, 2, 3):
            await layer.set("old", shop=number, id=1)
        redis.command("SAVE")
        assert await layer.set("new", shop=1, id=1)
        await layer.write_through("new", source.load, shop=2, id=1)
        redis.kill()
        redis.start()
        await until(lambda: not cache.connected)
        await until(lambda: cache.connected)
        there = [await layer.peek(shop=number, id=1) for number in (1, 2, 3)]
        assert there == [None, None, "old"]

    run(redis, scenario)


def test_a_wrong_password_is_as_if_redis_were_away(redis: RedisServer) -> None:
    async def scenario() -> None:
        redis.command("CONFIG", "SET", "requirepass", "secret-word")
        async with Cache(caching(), address(redis)) as cache:
            assert not cache.connected
            assert await cache.layer("shop.item").get(shop=1, id=2, load=Source("x").load) == "x"

    asyncio.run(scenario())
