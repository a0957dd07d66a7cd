"""The cache as the monitor sees it, by what the cache daemon of the host says."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from stellwerk.metrics.collectors.cache import CacheCollector
from stellwerk.metrics.declarations import cache as metrics
from stellwerk.metrics.reading import State
from tests.unit.instances.programs import free_ports

from .looks import look, value

SUMMARY, DETAILS = "portfolio.summary", "portfolio.details"


class Daemon:
    """What a cache daemon says next."""

    def __init__(self) -> None:
        self.status = 200
        self.layers: dict[str, Mapping[str, float]] = {}
        self.body: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """The figures."""
        del request
        text = self.body if self.body is not None else json.dumps({"layers": self.layers})
        return web.Response(status=self.status, text=text)


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[Daemon, CacheCollector]]:
    """A daemon and its collector."""
    daemon = Daemon()
    application = web.Application()
    application.router.add_get("/figures", daemon.answer)
    async with TestServer(application) as server:
        assert server.port is not None
        collector = CacheCollector(server.port)
        yield daemon, collector
        collector.close()


def in_a_loop(scenario: Any) -> None:
    """Run a scenario on a daemon and its collector."""

    async def staged() -> None:
        async with asked() as (daemon, collector):
            await scenario(daemon, collector)

    asyncio.run(staged())


def counted(hits: float, misses: float, ms: float, responses: float) -> dict[str, float]:
    return {"hits": hits, "misses": misses, "response_ms": ms, "responses": responses}


def test_rates_are_those_since_the_last_look() -> None:
    async def scenario(daemon: Daemon, collector: CacheCollector) -> None:
        daemon.layers = {SUMMARY: counted(1000, 0, 9000, 1000), DETAILS: counted(0, 100, 0, 0)}
        first = await look(collector)
        assert first.state is State.UP
        assert value(first, metrics.AVAILABILITY) == 1
        assert value(first, metrics.HITS, layer=SUMMARY) == 1000
        assert value(first, metrics.LAYER_HIT_RATE, layer=SUMMARY) is None
        assert value(first, metrics.MISS_RATE) is None
        daemon.layers = {SUMMARY: counted(1060, 20, 9120, 1080), DETAILS: counted(0, 120, 0, 0)}
        second = await look(collector)
        assert value(second, metrics.LAYER_HIT_RATE, layer=SUMMARY) == 75
        assert value(second, metrics.LAYER_HIT_RATE, layer=DETAILS) == 0
        assert value(second, metrics.OPERATION, layer=SUMMARY) == 1.5
        assert value(second, metrics.OPERATION, layer=DETAILS) is None
        assert value(second, metrics.MISS_RATE) == 40

    in_a_loop(scenario)


def test_counters_that_began_anew_are_no_rate() -> None:
    async def scenario(daemon: Daemon, collector: CacheCollector) -> None:
        daemon.layers = {SUMMARY: counted(1000, 500, 9000, 1000)}
        await look(collector)
        daemon.layers = {SUMMARY: counted(10, 5, 90, 10)}
        found = await look(collector)
        assert value(found, metrics.LAYER_HIT_RATE, layer=SUMMARY) is None
        assert value(found, metrics.OPERATION, layer=SUMMARY) is None
        assert value(found, metrics.MISS_RATE) is None

    in_a_loop(scenario)


def test_memory_is_told_of_layers_with_a_budget_and_of_all_together() -> None:
    async def scenario(daemon: Daemon, collector: CacheCollector) -> None:
        mega = 1024 * 1024
        daemon.layers = {
            SUMMARY: {"bytes": 40 * mega, "budget": 50 * mega},
            DETAILS: {"bytes": 10 * mega, "budget": 150 * mega},
            "session": counted(1, 1, 1, 1),
        }
        found = await look(collector)
        assert value(found, metrics.LAYER_MEMORY, layer=SUMMARY) == 40
        assert value(found, metrics.LAYER_MEMORY_USE, layer=SUMMARY) == 80
        assert value(found, metrics.LAYER_MEMORY_USE, layer="session") is None
        assert value(found, metrics.MEMORY_USE) == 25

    in_a_loop(scenario)


def test_a_daemon_whose_redis_is_away_is_up_and_says_so() -> None:
    async def scenario(daemon: Daemon, collector: CacheCollector) -> None:
        daemon.status, daemon.body = 503, '{"error": "Redis is away."}'
        found = await look(collector)
        assert (found.state, len(found.samples)) == (State.UP, 1)
        assert value(found, metrics.AVAILABILITY) == 1
        (gap,) = found.gaps
        assert "does not reach Redis" in gap.reason

    in_a_loop(scenario)


def test_an_answer_that_is_not_the_daemons_is_not_understood() -> None:
    async def scenario(daemon: Daemon, collector: CacheCollector) -> None:
        daemon.body = "<html>"
        assert (await look(collector)).state is State.UNSUPPORTED
        daemon.status = 404
        assert (await look(collector)).state is State.UNSUPPORTED

    in_a_loop(scenario)


def test_a_daemon_that_does_not_run_is_down() -> None:
    async def scenario() -> None:
        (port,) = free_ports(1)
        found = await look(CacheCollector(port))
        assert found.state is State.DOWN
        assert value(found, metrics.AVAILABILITY) == 0

    asyncio.run(scenario())
