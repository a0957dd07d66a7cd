"""Reading through a layer on a real Redis."""

import asyncio
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from stellwerk.caching.addresses import Credentials, RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import DeclarationError, KeyFieldError
from stellwerk.caching.totals import Totals, summed
from tests.unit.caching.opened import Node, Source, address, run, until
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.shipped import caching, shipped

pytestmark = pytest.mark.programs


class Price(msgspec.Struct, frozen=True):
    symbol: str
    value: Decimal


def test_a_loaded_value_is_a_hit_in_every_process(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        source = Source({"total": Decimal("1.50")})
        for _ in range(2):
            layer = (await node.cache()).layer("shop.item")
            for _ in range(2):
                value = await layer.get(shop=1, id=2, load=source.load)
                assert value == {"total": Decimal("1.50")}
        assert source.loads == 1
        assert layer.statistics.hits == 2

    run(redis, scenario)


def test_the_rights_of_the_services_user_are_enough(redis: RedisServer) -> None:
    rights = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")  # as the deploy gives them
    redis.command("ACL", "SETUSER", "app", "reset", "on", ">app-password", *rights)

    async def scenario(node: Node) -> None:
        there = RedisAddress(address(node.server).at, Credentials("app", "app-password"))
        settings = caching(layer={"memory": "1MB", "local_seconds": 30})
        async with Cache(settings, there) as cache:
            layer, source = cache.layer("shop.item"), Source("value")
            assert cache.connected
            await until(cache._copies_are_followed)
            await layer.get(shop=1, id=1, load=source.load, tags=["eu"])
            await layer.set("x", shop=1, id=2)
            assert await layer.invalidate(shop=1, id=2)
            assert await cache.invalidate("item:*:3")
            assert await cache.invalidate_tags("eu")
            assert await layer.memory_used() is not None
            assert cache.connected

    run(redis, scenario)


def test_what_was_counted_has_names_for_metrics(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        assets = cache.layer("api_response./api/assets")
        for _ in range(4):
            await assets.get(
                service="core", symbol="AAPL", data_type="stock", load=Source("x").load
            )
        found = cache.figures()
        assert found["cache_api_response_api_assets_hits"] == 3
        assert found["cache_api_response_api_assets_misses"] == 1
        assert found["cache_api_response_api_assets_hit_rate_percent"] == 75
        assert found["cache_api_response_api_assets_response_ms"] > 0

    run(redis, scenario)


def test_what_all_processes_of_a_host_counted_is_added_up(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        looking = await node.cache()
        assert await looking.totals() == {}
        for _ in range(2):
            async with Cache(caching(), address(redis)) as cache:
                layer = cache.layer("shop.item")
                for _ in range(3):
                    await layer.get(shop=1, id=2, load=Source("x").load)
        found = (await looking.totals(of_this_host=True))["shop.item"]
        assert (found["hits"], found["misses"], found["sets"]) == (5, 1, 1)
        assert found["responses"] == sum(
            value for name, value in found.items() if name.startswith("responses_")
        )
        assert await looking.totals() == {"shop.item": found}

    run(redis, scenario)


def test_hosts_are_told_apart_and_summed(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        client = (await node.cache()).client
        one, other = Totals(client, "app-1"), Totals(client, "app-2")
        await one.add({"shop.item": {"hits": 3, "response_ms": 0.25}})
        await one.add({"shop.item": {"hits": 4, "response_ms": 0.5}})
        await other.add({"shop.item": {"hits": 1}})
        found = await one.by_host()
        assert found["app-1"] == {"shop.item": {"hits": 4, "response_ms": 0.5}}
        assert summed(found) == {"shop.item": {"hits": 5, "response_ms": 0.5}}

    run(redis, scenario)


def test_none_is_a_hit(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        source = Source(None)
        layer = (await node.cache()).layer("shop.item")
        for _ in range(5):
            assert await layer.get(shop=1, id=2, load=source.load) is None
        assert source.loads == 1
        assert await layer.peek(shop=1, id=2, default="absent") is None
        assert await layer.peek(shop=1, id=3, default="absent") == "absent"

    run(redis, scenario)


def test_an_absent_value_has_a_lifetime_of_its_own(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(absent_ttl_seconds=5, serve_stale_seconds=0, jitter_percent=0)
        layer = (await node.cache(settings)).layer("shop.item")
        await layer.set(None, shop=1, id=1)
        await layer.set("there", shop=1, id=2)
        assert 4_000 < int(redis.command("PTTL", "item:1:1")) <= 5_000
        assert 50_000 < int(redis.command("PTTL", "item:1:2")) <= 60_000

    run(redis, scenario)


def test_entries_made_together_do_not_end_together(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(serve_stale_seconds=0))
        for number in range(50):
            await cache.layer("shop.item").set("x", shop=1, id=number)
        asked = [cache.client.session.send("PTTL", f"item:1:{number}") for number in range(50)]
        ends = await asyncio.gather(*asked)
        assert max(ends) <= 60_000
        assert max(ends) - min(ends) > 3_000

    run(redis, scenario)


def test_awkward_ids_are_entries_of_their_own(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        ids = ["*", ":", "[a-z]", "a\nb", "1:2", "%2A", "\\*", "?"]
        for text in ids:
            await layer.set(text, shop=1, id=text)
        for text in ids:
            assert await layer.peek(shop=1, id=text) == text
        await layer.invalidate(shop=1, id="*")
        assert [text for text in ids if await layer.peek(shop=1, id=text) is None] == ["*"]

    run(redis, scenario)


def test_a_typed_layer_gives_its_type_back(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item", type=Price)
        await layer.set(Price("AAPL", Decimal("1.10")), shop=1, id=2)
        assert await layer.peek(shop=1, id=2) == Price("AAPL", Decimal("1.10"))
        assert cache.layer("shop.item") is layer
        with pytest.raises(DeclarationError, match="another type"):
            cache.layer("shop.item", type=dict)

    run(redis, scenario)


def test_the_loader_of_a_layer_is_given_the_fields(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        async def load(shop: int, id: int) -> str:  # noqa: A002
            return f"{shop}/{id}"

        cache = await node.cache()
        assert await cache.layer("shop.item", load=load).get(shop=1, id=2) == "1/2"
        with pytest.raises(DeclarationError, match="nothing to load from"):
            await cache.layer("shop").get(shop=1, id=2, part="x")
        with pytest.raises(KeyFieldError):
            await cache.layer("shop.item").get(shop=1)

    run(redis, scenario)


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"something else altogether",
    ],
    ids=["truncated", "flipped", "empty", "short", "foreign"],
)
def test_what_cannot_be_read_is_a_miss_that_is_counted_and_mended(
    redis: RedisServer, make: Any
) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item")
        await layer.set("value", shop=1, id=2)
        data = await cache.client.session.send("GET", "item:1:2")
        await cache.client.session.send("SET", "item:1:2", make(data))
        source = Source("loaded")
        assert await layer.get(shop=1, id=2, load=source.load) == "loaded"
        assert await layer.get(shop=1, id=2, load=source.load) == "loaded"
        assert source.loads == 1

    run(redis, scenario)


def test_an_unreadable_value_under_right_stamps_is_counted_by_reason(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item")
        await layer.set("value", shop=1, id=2)
        data = await cache.client.session.send("GET", "item:1:2")
        await cache.client.session.send("SET", "item:1:2", data[:-1])
        assert await layer.get(shop=1, id=2, load=Source("loaded").load) == "loaded"
        assert layer.statistics.unreadable["altered"] >= 1

    run(redis, scenario)


def test_an_encrypted_value_that_was_moved_to_another_key_is_refused(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        layer = cache.layer("session.preferences")
        await layer.set({"theme": "dark"}, id="alice")
        await layer.set({"theme": "light"}, id="bob")
        session = cache.client.session
        alice = await session.send("GET", "user:alice:prefs")
        assert b"dark" not in alice
        await session.send("SET", "user:bob:prefs", alice)
        assert await layer.peek(id="bob") is None
        assert await layer.peek(id="alice") == {"theme": "dark"}
        assert layer.statistics.unreadable == {"altered": 1}

    run(redis, scenario)


def test_get_many_loads_only_what_is_not_there(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        for number in range(0, 10, 2):
            await layer.set(number, shop=1, id=number)
        asked: list[Any] = []

        async def load(fields: list[Any]) -> list[Any]:
            asked.extend(field["id"] for field in fields)
            return [field["id"] for field in fields]

        wanted = [{"shop": 1, "id": number} for number in range(10)]
        assert await layer.get_many(wanted, load) == list(range(10))
        assert sorted(asked) == [1, 3, 5, 7, 9]
        assert await layer.get_many(wanted, load) == list(range(10))
        assert len(asked) == 5
        assert await layer.get_many([], load) == []

    run(redis, scenario)


def test_get_many_uses_and_fills_the_process_own_copies(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(layer={"local_seconds": 30}))
        await until(cache._copies_are_followed)
        layer = cache.layer("shop.item")
        each = [{"shop": 1, "id": number} for number in range(4)]
        for number in range(4):
            await layer.set([number], shop=1, id=number)
        await until(lambda: cache._follower._number == 4)
        assert await layer.get_many([]) == []
        for hits in (0, 4):
            assert await layer.get_many(each) == [[0], [1], [2], [3]]
            assert layer.statistics.local_hits == hits
        await layer.set(["new"], shop=1, id=2)
        assert await layer.get_many(each) == [[0], [1], ["new"], [3]]

    run(redis, scenario)


def test_reads_of_one_turn_of_the_loop_are_one_command(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("loaded")
        for number in range(40):
            await layer.set(number, shop=number % 3, id=number)
        redis.command("CONFIG", "RESETSTAT")
        values = await asyncio.gather(
            *(layer.get(shop=number % 3, id=number, load=source.load) for number in range(50))
        )
        assert values == [*range(40), *["loaded"] * 10]
        (told,) = re.findall(r"cmdstat_mget:calls=(\d+)", redis.command("INFO", "commandstats"))
        assert int(told) <= 2

    run(redis, scenario)


def test_a_cancelled_caller_leaves_its_answer_to_nobody_else(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        for number in range(200):
            await layer.set(number, shop=1, id=number)
        tasks = [asyncio.create_task(layer.peek(shop=1, id=number)) for number in range(200)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        kept = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert kept == [number for number in range(200) if number % 3]
        assert await layer.peek(shop=1, id=7) == 7

    run(redis, scenario)


def test_scripts_that_redis_has_forgotten_are_sent_again(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        redis.command("SCRIPT", "FLUSH")
        assert await layer.get(shop=1, id=1, load=Source("x").load) == "x"
        assert await layer.peek(shop=1, id=1) == "x"

    run(redis, scenario)


def test_an_entry_is_refreshed_once_while_callers_get_the_present_value(
    redis: RedisServer,
) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(refresh_ahead_percent=0.000001)
        layers = [(await node.cache(settings)).layer("shop.item") for _ in range(4)]
        source = Source("first")
        assert await layers[0].get(shop=1, id=2, load=source.load) == "first"
        await asyncio.sleep(0.002)
        source.value = "second"
        source.open.clear()
        for _ in range(20):
            for layer in layers:
                assert await layer.get(shop=1, id=2, load=source.load) == "first"
        await until(lambda: source.loads > 1)
        assert source.loads == 2
        source.open.set()
        values: set[Any] = set()
        while values != {"second"}:
            values = {await layer.peek(shop=1, id=2) for layer in layers}

    run(redis, scenario)


def test_an_old_value_stands_in_while_the_source_fails(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(layer={"ttl_seconds": 1}, jitter_percent=99.999)
        layer = (await node.cache(settings)).layer("shop.item")
        source = Source("old")
        await layer.get(shop=1, id=2, load=source.load)
        while await layer.peek(shop=1, id=2) is not None:
            await asyncio.sleep(0.02)
        source.failure = OSError("the source is down")
        for _ in range(20):
            assert await layer.get(shop=1, id=2, load=source.load) == "old"
        assert source.loads == 2, "a failing source is not asked by every caller"
        assert layer.statistics.stale_hits == 20
        with pytest.raises(OSError, match="down"):
            await layer.get(shop=1, id=3, load=source.load)
        await layer.invalidate(shop=1, id=2)
        with pytest.raises(OSError, match="down"):
            await layer.get(shop=1, id=2, load=source.load)

    run(redis, scenario)


def test_an_old_value_stands_in_for_a_bounded_time_only(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        settings = caching(serve_stale_seconds=30, jitter_percent=0)
        layer = (await node.cache(settings)).layer("shop.item")
        await layer.set("old", shop=1, id=2)
        assert 89_000 < int(redis.command("PTTL", "item:1:2")) <= 90_000

    run(redis, scenario)
