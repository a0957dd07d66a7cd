"""Writing through and aside, decorated functions, rate limits, and the face for threads."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from stellwerk.caching import BlockingCache, DeclarationError, cached
from tests.unit.caching.opened import Node, Source, address, run
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.shipped import PATIENT, caching, shipped

pytestmark = pytest.mark.programs


def test_a_write_through_is_in_the_source_and_in_the_cache(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("old")

        async def save() -> None:
            source.value = "new"

        await layer.get(shop=1, id=2, load=source.load)
        await layer.write_through("new", save, shop=1, id=2)
        assert await layer.get(shop=1, id=2, load=source.load) == "new"
        assert source.loads == 1

    run(redis, scenario)


def test_a_write_through_that_fails_leaves_no_value(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("old")

        async def save() -> None:
            raise OSError("the disk is full")

        await layer.set("old", shop=1, id=2)
        with pytest.raises(OSError, match="full"):
            await layer.write_through("new", save, shop=1, id=2)
        assert await layer.get(shop=1, id=2, load=source.load) == "old"
        assert source.loads == 1

    run(redis, scenario)


def test_of_two_writers_that_meet_neither_leaves_the_older_value(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("old")
        may_save = asyncio.Event()
        began = asyncio.Event()

        async def save_late() -> None:
            began.set()
            await may_save.wait()
            source.value = "of the first writer"

        async def save_early() -> None:
            source.value = "of the second writer"

        first = asyncio.create_task(layer.write_through(source.value, save_late, shop=1, id=2))
        await began.wait()
        await layer.write_through("of the second writer", save_early, shop=1, id=2)
        may_save.set()
        await first
        assert await layer.get(shop=1, id=2, load=source.load) == source.value

    run(redis, scenario)


def test_a_load_that_began_before_a_write_does_not_replace_it(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("old")
        loading = await source.held(layer.get(shop=1, id=2, load=source.load))
        await layer.set("new", shop=1, id=2)
        source.open.set()
        await loading
        assert await layer.peek(shop=1, id=2) == "new"

    run(redis, scenario)


def test_a_write_aside_makes_the_next_reader_load(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer, source = (await node.cache()).layer("shop.item"), Source("old")
        await layer.get(shop=1, id=2, load=source.load)

        async def save() -> None:
            source.value = "new"

        await layer.write_aside(save, shop=1, id=2)
        assert await layer.get(shop=1, id=2, load=source.load) == "new"

    run(redis, scenario)


def test_a_calculation_is_kept_by_its_inputs_and_their_types(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        numbers = count()

        @cached(cache.layer("calculation.risk_assessment"))
        async def risk(portfolio: Any, horizon: int = 5) -> int:  # noqa: ARG001
            return next(numbers)

        inputs = (1, True, "1", 1.0, Decimal(1))
        first = [await risk(each) for each in inputs]
        assert first == [0, 1, 2, 3, 4]
        assert [await risk(portfolio=each, horizon=5) for each in inputs] == first
        assert await risk(1, 6) == 5

    run(redis, scenario)


def test_an_answer_is_kept_by_what_it_varies_by(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        numbers = count()

        @cached(cache.layer("api_response./api/portfolios"), service="core")
        async def portfolios(request: object, user_id: int, date_range: str) -> int:  # noqa: ARG001
            return next(numbers)

        assert await portfolios(object(), 7, "30d") == 0
        assert await portfolios(object(), date_range="30d", user_id=7) == 0
        assert await portfolios(object(), 8, "30d") == 1
        with pytest.raises(DeclarationError, match="lacks the argument data_type"):
            cached(cache.layer("api_response./api/assets"))(portfolios)

    run(redis, scenario)


def test_a_limit_is_shared_and_says_when_the_next_call_may_be_made(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        limits = {"window_seconds": 3600, "providers": {"quotes": {"/v1/price": 10}}}
        settings = caching(rest={"rate_limits": limits})
        limiters = [(await node.cache(settings)).rate_limiter for _ in range(4)]
        calls = [limiters[number % 4].acquire("quotes", "/v1/price") for number in range(40)]
        answers = await asyncio.gather(*calls)
        assert sum(answer.allowed for answer in answers) == 10
        assert sorted(answer.remaining for answer in answers if answer.allowed) == list(range(10))
        refused = [answer for answer in answers if not answer.allowed]
        assert all(3590 < answer.retry_after_seconds <= 3600 for answer in refused)
        with pytest.raises(DeclarationError, match="rate_limits"):
            await limiters[0].acquire("quotes", "/v2")

    run(redis, scenario)


def test_the_next_call_is_allowed_when_the_limiter_said(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        limits = {"window_seconds": 1, "providers": {"quotes": {"price": 2}}}
        limiter = (await node.cache(caching(rest={"rate_limits": limits}))).rate_limiter
        answer = await limiter.acquire("quotes", "price")
        while answer.allowed:
            answer = await limiter.acquire("quotes", "price")
        assert 0 < answer.retry_after_seconds <= 1
        await asyncio.sleep(answer.retry_after_seconds + 0.01)
        assert (await limiter.acquire("quotes", "price")).allowed

    run(redis, scenario)


def test_threads_share_one_load_through_the_blocking_face(redis: RedisServer) -> None:
    with BlockingCache(caching(client=PATIENT), address(redis)) as cache:
        layer = cache.layer("shop.item")
        numbers = count()

        def get() -> Any:
            return layer.get(shop=1, id=2, load=lambda: next(numbers))

        with ThreadPoolExecutor(16) as threads:
            assert {future.result() for future in [threads.submit(get) for _ in range(50)]} == {0}
        assert layer.set("new", shop=1, id=2)
        assert layer.peek(shop=1, id=2) == "new"
        assert layer.invalidate(shop=1, id=2)
        assert layer.peek(shop=1, id=2) is None
        assert layer.set("new", shop=1, id=2, tags=["eu"])
        assert cache.invalidate_tags("eu")
        assert cache.invalidate("item:*")
        assert layer.peek("none", shop=1, id=2) == "none"
