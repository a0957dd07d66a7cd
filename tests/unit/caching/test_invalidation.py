"""After an invalidation nothing older is read, stored or kept, whatever was under way."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stellwerk.caching import names
from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import DeclarationError, KeyFieldError
from stellwerk.caching.warming import warm
from stellwerk.settings.caching import Warming
from tests.unit.caching.opened import Node, Source, run, until
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.shipped import caching, shipped

pytestmark = pytest.mark.programs

Invalidation = Callable[[Cache], Awaitable[object]]
WAYS: dict[str, Invalidation] = {
    "key": lambda cache: cache.layer("shop.item").invalidate(shop=1, id=2),
    "exact pattern": lambda cache: cache.invalidate("item:1:2"),
    "entity": lambda cache: cache.invalidate("item:1:*"),
    "part": lambda cache: cache.invalidate("item:*:2"),
    "layer": lambda cache: cache.layer("shop.item").invalidate_all(),
    "everything": lambda cache: cache.invalidate("*"),
    "tag": lambda cache: cache.invalidate_tags("eu"),
}
LOCAL = caching(layer={"local_seconds": 3600, "ttl_seconds": 3600})


@pytest.fixture(params=WAYS, ids=list(WAYS))
def invalidated(request: pytest.FixtureRequest) -> Invalidation:
    """One way to invalidate the entry of shop 1 and id 2."""
    return WAYS[request.param]


async def cut_off(cache: Cache, redis: RedisServer) -> None:
    """End the connections on which processes hear of invalidations, until this one has noticed."""
    for line in redis.command("CLIENT", "LIST").splitlines():
        if "cmd=xread" in line:
            redis.command("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))
    await until(lambda: not cache._follower.following)


def test_a_load_that_began_before_an_invalidation_is_not_stored(
    redis: RedisServer, invalidated: Invalidation
) -> None:
    async def scenario(node: Node) -> None:
        cache, other = await node.cache(), await node.cache()
        layer = cache.layer("shop.item")
        source = Source("old")
        get = layer.get(shop=1, id=2, load=source.load, tags=["eu"])
        loading = await source.held(get)
        source.value = "new"
        await invalidated(other)
        source.open.set()
        await loading
        assert await layer.get(shop=1, id=2, load=source.load, tags=["eu"]) == "new"
        assert layer.statistics.refused == 1

    run(redis, scenario)


def test_a_caller_that_comes_after_an_invalidation_does_not_get_the_load_before_it(
    redis: RedisServer, invalidated: Invalidation
) -> None:
    async def scenario(node: Node) -> None:
        cache, other = await node.cache(), await node.cache()
        layer = cache.layer("shop.item")
        source = Source("old")
        loading = await source.held(layer.get(shop=1, id=2, load=source.load, tags=["eu"]))
        source.value = "new"
        await invalidated(other)
        late = asyncio.create_task(layer.get(shop=1, id=2, load=source.load, tags=["eu"]))
        await until(lambda: layer.statistics.misses == 2)
        source.open.set()
        assert await loading == "old"
        assert await late == "new"

    run(redis, scenario)


def test_a_refresh_that_began_before_an_invalidation_is_not_stored(
    redis: RedisServer, invalidated: Invalidation
) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(refresh_ahead_percent=0.000001))
        layer = cache.layer("shop.item")
        source = Source("old")
        await layer.get(shop=1, id=2, load=source.load, tags=["eu"])
        await asyncio.sleep(0.002)
        source.open.clear()
        assert await layer.get(shop=1, id=2, load=source.load, tags=["eu"]) == "old"
        await until(lambda: source.loads == 2)
        source.value = "new"
        await invalidated(cache)
        source.open.set()
        assert await layer.get(shop=1, id=2, load=source.load, tags=["eu"]) == "new"

    run(redis, scenario)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "tag"])
def test_a_warming_that_began_before_an_invalidation_stores_nothing(
    redis: RedisServer, way: str
) -> None:
    async def scenario(node: Node) -> None:
        source = Source("old")

        async def load(**_: object) -> str:
            return str(await source.load())

        layer = (await node.cache()).layer("shop.item", load=load)
        warming = await source.held(warm(Warming(), [(layer, {"shop": 1, "id": 2})]))
        source.value = "new"
        await WAYS[way](await node.cache())
        source.open.set()
        assert (await warming).there == 1
        assert await layer.get(shop=1, id=2) == "new"

    run(redis, scenario)


def test_a_stored_entry_is_gone_in_every_process(
    redis: RedisServer, invalidated: Invalidation
) -> None:
    async def scenario(node: Node) -> None:
        cache, other = await node.cache(), await node.cache()
        layer = cache.layer("shop.item")
        await layer.set("old", shop=1, id=2, tags=["eu", "dax"])
        await layer.set("kept", shop=3, id=4)
        await invalidated(other)
        assert await layer.peek(shop=1, id=2) is None
        kept = None if invalidated in (WAYS["layer"], WAYS["everything"]) else "kept"
        assert await layer.peek(shop=3, id=4) == kept

    run(redis, scenario)


def test_own_copies_of_every_process_are_dropped(
    redis: RedisServer, invalidated: Invalidation
) -> None:
    async def scenario(node: Node) -> None:
        caches = [await node.cache(LOCAL) for _ in range(2)]
        source = Source("old")
        for cache in caches:
            await until(cache._copies_are_followed)
            layer = cache.layer("shop.item")
            for _ in range(2):
                assert await layer.get(shop=1, id=2, load=source.load, tags=["eu"]) == "old"
            assert layer.statistics.local_hits == 1
        source.value = "new"
        await invalidated(caches[0])
        assert await caches[0].layer("shop.item").get(shop=1, id=2, load=source.load) == "new"
        value = None
        while value != "new":
            value = await caches[1].layer("shop.item").get(shop=1, id=2, load=source.load)

    run(redis, scenario)


def test_a_value_read_before_an_invalidation_is_not_kept_after_it(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer = cache.layer("shop.item")
        await layer.set("old", shop=1, id=2)
        source = Source("new")
        # The answer of this read is under way in the socket while the invalidation is handled.
        reading = asyncio.create_task(layer.get(shop=1, id=2, load=source.load))
        invalidating = asyncio.create_task(layer.invalidate(shop=1, id=2))
        await asyncio.gather(reading, invalidating)
        assert await layer.get(shop=1, id=2, load=source.load) == "new"

    run(redis, scenario)


def test_a_write_in_one_process_replaces_the_copies_of_others(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        caches = [await node.cache(LOCAL) for _ in range(2)]
        for cache in caches:
            await until(cache._copies_are_followed)
        one, other = (cache.layer("shop.item") for cache in caches)
        source = Source("old")
        assert await other.get(shop=1, id=2, load=source.load) == "old"
        assert await other.get(shop=1, id=2, load=source.load) == "old"
        await one.set("new", shop=1, id=2)
        assert await one.get(shop=1, id=2, load=source.load) == "new"
        while await other.get(shop=1, id=2, load=source.load) != "new":
            await asyncio.sleep(0)

    run(redis, scenario)


def test_a_process_that_was_away_from_the_stream_catches_up(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, other = await node.cache(LOCAL), await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer, source = cache.layer("shop.item"), Source("old")
        for number in range(100):
            await layer.get(shop=1, id=number, load=source.load)
        source.value = "new"
        await cut_off(cache, redis)
        for number in range(100):
            await other.layer("shop.item").invalidate(shop=1, id=number)
        await until(cache._copies_are_followed)
        for number in range(100):
            assert await layer.get(shop=1, id=number, load=source.load) == "new"

    run(redis, scenario)


def test_events_that_were_lost_with_the_stream_cost_all_copies(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer, source = cache.layer("shop.item"), Source("old")
        await layer.invalidate(shop=9, id=9)
        await layer.get(shop=1, id=2, load=source.load)
        source.value = "new"
        redis.command("SET", names.COUNTER, "77")
        redis.command("DEL", "item:1:2")
        await layer.invalidate(shop=8, id=8)
        while await layer.get(shop=1, id=2, load=source.load) != "new":
            await asyncio.sleep(0)

    run(redis, scenario)


def test_a_history_that_is_another_costs_all_copies(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer, source = cache.layer("shop.item"), Source("old")
        await layer.invalidate(shop=9, id=9)
        await until(lambda: cache._follower._number == 1)
        await layer.get(shop=1, id=2, load=source.load)
        source.value = "new"
        redis.command("DEL", "item:1:2", names.STREAM)
        redis.command("XADD", names.STREAM, "1-1", "number", "1", "event", "another")
        await cut_off(cache, redis)
        await until(cache._copies_are_followed)
        assert await layer.get(shop=1, id=2, load=source.load) == "new"

    run(redis, scenario)


def test_an_event_that_came_below_the_cursor_is_noticed(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(LOCAL)
        await until(cache._copies_are_followed)
        layer, source = cache.layer("shop.item"), Source("old")
        await layer.invalidate(shop=9, id=9)
        await layer.get(shop=1, id=2, load=source.load)
        source.value = "new"
        redis.command("DEL", "item:1:2", names.STREAM)
        redis.command("XADD", names.STREAM, "1-1", "number", "2", "event", "another")
        redis.command("SET", names.COUNTER, "2")
        while await layer.get(shop=1, id=2, load=source.load) != "new":
            await asyncio.sleep(0)

    run(redis, scenario)


def test_events_invalidate_what_the_settings_say(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        summary, history = cache.layer("portfolio.summary"), cache.layer("portfolio.history")
        for number in (42, 421):
            await summary.set("x", id=number)
            await history.set("x", id=number, period="1y")
        await cache.invalidate_event("portfolio_updated", portfolio_id=42, user_id=7)
        assert await summary.peek(id=42) is await history.peek(id=42, period="1y") is None
        assert await summary.peek(id=421) == await history.peek(id=421, period="1y") == "x"
        await cache.invalidate_event("market_data_updated", symbol="AAPL")
        assert await summary.peek(id=421) is None
        assert await history.peek(id=421, period="1y") == "x"
        with pytest.raises(KeyFieldError):
            await cache.invalidate_event("portfolio_updated", portfolio_id=42)
        with pytest.raises(DeclarationError, match="portfolio_updated"):
            await cache.invalidate_event("portfolio_update")

    run(redis, scenario)


def test_an_awkward_id_in_an_event_widens_nothing(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        summary = cache.layer("portfolio.summary")
        for name in ("*", "1", "[1]"):
            await summary.set("x", id=name)
        await cache.invalidate_event("portfolio_updated", portfolio_id="*", user_id="*")
        assert [await summary.peek(id=name) for name in ("*", "1", "[1]")] == [None, "x", "x"]

    run(redis, scenario)


def test_a_tag_takes_its_entries_with_it_and_frees_their_memory(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer = cache.layer("shop.item")
        for number in range(2500):
            await layer.set("x", shop=1, id=number, tags=["eu"])
        await layer.set("x", shop=2, id=1, tags=["us"])
        await cache.invalidate_tags("eu")
        assert [key for key in redis.command("KEYS", "item:*").splitlines() if key] == ["item:2:1"]
        assert redis.command("EXISTS", names.tagged("eu")) == "0"

    run(redis, scenario)


def test_the_index_of_a_tag_lives_as_long_as_its_longest_entry(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(caching(serve_stale_seconds=0, absent_ttl_seconds=1))
        layer = cache.layer("shop.item")
        await layer.set("long", shop=1, id=1, tags=["eu"])
        await layer.set(None, shop=1, id=2, tags=["eu"])
        assert int(redis.command("PTTL", names.tagged("eu"))) > 50_000
        await until(lambda: redis.command("EXISTS", "item:1:2") == "0")
        await cache.invalidate_tags("eu")
        assert redis.command("EXISTS", "item:1:1") == "0"

    run(redis, scenario)


def test_stamps_that_redis_has_evicted_cost_entries_but_never_revive_one(
    redis: RedisServer,
) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache()
        layer, source = cache.layer("shop.item"), Source("old")
        await layer.get(shop=1, id=2, load=source.load)
        redis.command("DEL", names.stamp("shop.item"), names.stamp("shop.item", "1"))
        source.value = "new"
        assert await layer.get(shop=1, id=2, load=source.load) == "new"

    run(redis, scenario)
