"""Each layer stays within its own budget, whatever the others do."""

import random

import pytest

from stellwerk.caching import names
from stellwerk.settings.caching import Caching
from tests.unit.caching.opened import Node, run
from tests.unit.caching.redis_server import RedisServer

pytestmark = pytest.mark.programs

BUDGET = 400_000
SIZES = {"small": (10, 60), "medium": (200, 900), "large": (2_000, 9_000)}


def budgeted(ttl_seconds: int = 600) -> Caching:
    layers = {
        name: {"ttl_seconds": ttl_seconds, "memory": BUDGET, "key_pattern": f"{name}:{{id}}"}
        for name in SIZES
    }
    shop = {
        "key_pattern": "shop:{id}",
        "ttl_seconds": ttl_seconds,
        "strategy": "cache-aside",
        "serve_stale_seconds": 0,
        "layers": layers,
    }
    return Caching.model_validate({"caches": {"shop": shop}})


def used(redis: RedisServer, layer: str) -> int:
    """Bytes that Redis itself counts for a layer's entries and accounts."""
    accounts = [f"{names.account(f'shop.{layer}')}:{part}" for part in ("sizes", "used", "ends")]
    script = (
        "local sum = 0 for _, key in ipairs(redis.call('KEYS', ARGV[1])) do"
        " sum = sum + redis.call('MEMORY', 'USAGE', key) end"
        " for _, key in ipairs(KEYS) do"
        " sum = sum + (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0) end return sum"
    )
    return int(redis.command("EVAL", script, "3", *accounts, f"{layer}:*"))


def test_three_layers_stay_within_their_budgets_by_redis_own_count(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(budgeted())
        chance = random.Random(1)
        for number in range(2_500):
            for name, (low, high) in SIZES.items():
                value = chance.randbytes(chance.randint(low, high))
                await cache.layer(f"shop.{name}").set(value, id=number)
        for name in SIZES:
            layer = cache.layer(f"shop.{name}")
            accounted = await layer.memory_used()
            assert accounted is not None
            assert accounted <= BUDGET
            assert layer.statistics.evictions > 0
            assert 0.85 * BUDGET < used(redis, name) < 1.05 * BUDGET, name

    run(redis, scenario)


def test_what_was_used_last_is_kept(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(budgeted())
        layer = cache.layer("shop.large")
        await layer.set(b"favourite", id="favourite")
        for number in range(200):
            await layer.set(bytes(5_000), id=number)
            assert await layer.peek(id="favourite") == b"favourite"
            await cache._layers.usage.flush()
        assert await layer.peek(id=0) is None

    run(redis, scenario)


def test_a_value_larger_than_the_budget_is_refused_and_evicts_nothing(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache(budgeted())).layer("shop.large")
        await layer.set(b"small", id=1)

        async def load() -> bytes:
            return bytes(BUDGET)

        assert await layer.get(id=2, load=load) == bytes(BUDGET)
        assert not await layer.set(bytes(BUDGET), id=2)
        assert layer.statistics.too_large == 2
        assert await layer.peek(id=1) == b"small"
        assert await layer.peek(id=2) is None

    run(redis, scenario)


def test_what_is_gone_is_no_longer_accounted(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(budgeted())
        layer = cache.layer("shop.medium")
        for number in range(20):
            await layer.set(bytes(500), id=number, tags=["eu"] if number % 2 else [])
        before = await layer.memory_used()
        await layer.set(bytes(500), id=1, tags=["eu"])
        assert await layer.memory_used() == before
        await cache.invalidate_tags("eu")
        for number in range(0, 20, 2):
            await layer.invalidate(id=number)
        assert await layer.memory_used() == 0

    run(redis, scenario)


def test_expired_entries_leave_the_account(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache(budgeted(ttl_seconds=1))).layer("shop.medium")
        for number in range(20):
            await layer.set(bytes(500), id=number)
        left = await layer.memory_used()
        while left is None or left > 1_000:  # what two of the entries take at least
            await layer.set(b"x", id="other")
            left = await layer.memory_used()

    run(redis, scenario)


def test_accounts_that_redis_has_evicted_begin_anew(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache(budgeted())).layer("shop.large")
        for part in ("sizes", "used", "ends"):
            for number in range(60):
                await layer.set(bytes(5_000), id=number)
            redis.command("DEL", f"{names.account('shop.large')}:{part}")
        for number in range(200):
            await layer.set(bytes(5_000), id=number)
        assert (await layer.memory_used() or 0) <= BUDGET

    run(redis, scenario)
