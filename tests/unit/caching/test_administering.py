"""Invalidation by hand: who may, what it does, and that it is on record."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from stellwerk.caching.administering import Administration, Record
from stellwerk.caching.cache import Cache
from stellwerk.settings.caching import AdminApi
from stellwerk.settings.types import Secret
from tests.unit.caching.opened import Node, run, until
from tests.unit.caching.redis_server import RedisServer, running
from tests.unit.caching.shipped import caching, shipped

pytestmark = pytest.mark.programs

ADMIN = AdminApi(token=Secret("some-token"), token_for_all=Secret("all-token"))
SOME, ALL = "Bearer some-token", "Bearer all-token"

Post = Callable[..., Awaitable[int]]
Act = Callable[[Cache, Post], Awaitable[None]]


def administering(redis: RedisServer, record: Path, act: Act) -> list[dict[str, Any]]:
    """Act on a cache and its API; returns what is on record."""

    async def scenario(node: Node) -> None:
        cache = await node.cache(shipped())
        application = Administration(ADMIN, cache, Record(record).write).web_application()
        async with TestClient(TestServer(application)) as client:

            async def post(document: Any, authorization: str = SOME) -> int:
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                headers = {"Authorization": authorization} if authorization else {}
                answer = await client.post(ADMIN.path, data=body, headers=headers)
                assert list(await answer.json()) == ["done" if answer.status < 300 else "error"]
                return answer.status

            await act(cache, post)

    run(redis, scenario)
    return [json.loads(line) for line in record.read_text().splitlines()]


def test_patterns_tags_and_events_are_invalidated(redis: RedisServer, tmp_path: Path) -> None:
    async def act(cache: Cache, post: Post) -> None:
        summary, prices = cache.layer("portfolio.summary"), cache.layer("portfolio.details")
        for number in range(4):
            await summary.set("x", id=number)
        await prices.set("x", id=9, tags=["eu"])
        assert await post({"patterns": ["portfolio:1:*"], "reason": "wrong data"}) == 200
        event = {"event": "portfolio_updated", "parameters": {"portfolio_id": 2, "user_id": "7"}}
        assert await post(event) == 200
        assert await post({"tags": ["eu"]}) == 200
        there = [await summary.peek(id=number) for number in range(4)]
        assert there == ["x", None, None, "x"]
        assert await prices.peek(id=9) is None

    first, *_ = administering(redis, tmp_path / "record", act)
    assert first["who"] == "127.0.0.1"
    assert first["outcome"].startswith("200 ")
    assert first["asked"] == {"patterns": ["portfolio:1:*"], "reason": "wrong data"}


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "Basic some-token", "Bearer söme-token"]
)
def test_without_the_token_nothing_is_invalidated(
    redis: RedisServer, tmp_path: Path, authorization: str
) -> None:
    async def act(cache: Cache, post: Post) -> None:
        await cache.layer("portfolio.summary").set("x", id=1)
        assert await post({"patterns": ["portfolio:1:*"]}, authorization) == 401
        assert await cache.layer("portfolio.summary").peek(id=1) == "x"

    (line,) = administering(redis, tmp_path / "record", act)
    assert line["outcome"].startswith("401 ")


@pytest.mark.parametrize(
    "patterns",
    [
        ["*"],
        ["*:*"],
        ["**"],
        ["portfolio:*", "market:*", "session:*", "user:*", "calc:*", "api:*"],
    ],
)
def test_whatever_covers_every_layer_needs_a_right_of_its_own(
    redis: RedisServer, tmp_path: Path, patterns: list[str]
) -> None:
    async def act(cache: Cache, post: Post) -> None:
        await cache.layer("portfolio.summary").set("x", id=1)
        assert await post({"patterns": patterns}) == 403
        assert await cache.layer("portfolio.summary").peek(id=1) == "x"
        assert await post({"patterns": patterns}, ALL) == 200
        assert await cache.layer("portfolio.summary").peek(id=1) is None

    outcomes = [line["outcome"][:3] for line in administering(redis, tmp_path / "record", act)]
    assert outcomes == ["403", "200"]


@pytest.mark.parametrize(
    "document",
    [
        b"no json",
        b"[" * 60_000,
        [],
        {},
        {"patterns": "portfolio:*"},
        {"patterns": [""]},
        {"patterns": ["a:*"], "tags": ["eu"]},
        {"patern": ["a:*"]},
        {"event": "unheard_of"},
        {"event": "portfolio_updated", "parameters": {"portfolio_id": True, "user_id": 1}},
        {"event": "portfolio_updated", "parameters": {}},
    ],
)
def test_what_makes_no_sense_is_refused(
    redis: RedisServer, tmp_path: Path, document: object
) -> None:
    async def act(_: Cache, post: Post) -> None:
        assert await post(document) == 400

    (line,) = administering(redis, tmp_path / "record", act)
    assert line["outcome"].startswith("400 ")


def test_what_redis_cannot_hear_now_is_accepted(tmp_path: Path) -> None:
    async def act(cache: Cache, post: Post) -> None:
        redis.kill()
        await until(lambda: not cache.connected)
        assert await post({"patterns": ["portfolio:1:*"]}) == 202

    with running() as redis:
        administering(redis, tmp_path / "record", act)


def test_an_api_without_tokens_lets_nobody_in(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        application = Administration(
            AdminApi(), await node.cache(caching()), lambda *_: None
        ).web_application()
        async with TestClient(TestServer(application)) as client:
            answer = await client.post(
                ADMIN.path, json={"patterns": ["a"]}, headers={"Authorization": "Bearer "}
            )
            assert answer.status == 401

    run(redis, scenario)
