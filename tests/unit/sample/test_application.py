"""The HTTP side, with stand-ins for PostgreSQL and Redis."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from stellwerk.sample.application import SampleApplication
from stellwerk.sample.configuration import Load, ServiceConfiguration, Switches
from stellwerk.sample.health import Phase
from stellwerk.sample.query import PortfolioQuery
from tests.unit.sample.fakes import FakeCache, FakeStore

SWITCHES_OFF = Switches()
SWITCHES_ON = Switches(set_by_request=True)


@dataclass
class Running:
    """An instance that serves, and a client that asks it."""

    application: SampleApplication
    store: FakeStore
    cache: FakeCache
    client: TestClient[Any, Any]

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(path) as answer:
            assert answer.headers["X-Instance"] == "aktienanalyse-core@8101"
            return answer.status, await answer.json()


def run(
    scenario: Callable[[Running], Awaitable[None]],
    switches: Switches = SWITCHES_OFF,
) -> None:
    async def serve() -> None:
        configuration = ServiceConfiguration(
            service="aktienanalyse-core", instance="8101", port=8101, switches=switches
        )
        store, cache = FakeStore(), FakeCache()
        application = SampleApplication(configuration, store, cache)
        application.phase = Phase.SERVING
        async with TestClient(TestServer(application.web_application())) as client:
            await scenario(Running(application, store, cache, client))
        application.close()

    asyncio.run(serve())


def test_an_answer_comes_from_the_store_once_and_then_from_the_cache() -> None:
    async def scenario(running: Running) -> None:
        for source in ("miss", "hit"):
            async with running.client.get("/api/portfolios?user_id=3") as answer:
                assert answer.status == 200
                assert answer.headers["X-Cache"] == source
                assert await answer.json() == {"portfolios": [{"id": 1}]}
        assert running.store.asked == [PortfolioQuery(user_id=3)]
        assert list(running.cache.lifetimes.values()) == [300]

    run(scenario)


def test_redis_away_is_served_from_postgresql() -> None:
    async def scenario(running: Running) -> None:
        running.cache.take_away()
        assert (await running.get("/api/assets"))[0] == 200
        status, health = await running.get("/health")
        assert status == 200
        assert health["status"] == "degraded"
        assert health["dependencies"] == {"postgresql": "reachable", "redis": "away"}

    run(scenario)


def test_postgresql_away_is_served_from_the_cache_as_far_as_it_goes() -> None:
    async def scenario(running: Running) -> None:
        await running.get("/api/assets?symbol=AAPL")
        running.store.take_away()
        assert (await running.get("/api/assets?symbol=AAPL"))[0] == 200
        status, body = await running.get("/api/assets?symbol=MSFT")
        assert status == 503
        assert body == {"error": "PostgreSQL is away and no answer is cached."}
        assert (await running.get("/health"))[1]["status"] == "degraded"

    run(scenario)


def test_both_away_takes_the_instance_out_of_rotation() -> None:
    async def scenario(running: Running) -> None:
        running.store.take_away()
        running.cache.take_away()
        status, health = await running.get("/health")
        assert (status, health["status"]) == (503, "unavailable")

    run(scenario)


def test_health_names_the_instance_and_its_numbers() -> None:
    async def scenario(running: Running) -> None:
        await running.get("/api/assets")
        status, health = await running.get("/health")
        assert status == 200
        assert health["status"] == "ok"
        assert (health["service"], health["instance"]) == ("aktienanalyse-core", "8101")
        assert health["uptime_seconds"] >= 0
        assert health["metrics"]["requests_per_second"] > 0
        assert health["metrics"]["portfolio_calculation_queue_length"] == 0
        assert health["metrics"]["active_trading_sessions"] == 1

    run(scenario)


def test_health_checks_are_no_traffic() -> None:
    async def scenario(running: Running) -> None:
        for _ in range(5):
            _, health = await running.get("/health")
        assert health["metrics"]["requests_per_second"] == 0

    run(scenario)


def test_a_request_that_runs_is_in_the_queue_length() -> None:
    async def scenario(running: Running) -> None:
        slow = asyncio.ensure_future(running.get("/api/assets?delay_ms=60000"))
        async with asyncio.timeout(30):
            while not running.application.in_flight:
                await asyncio.sleep(0.001)
        _, health = await running.get("/health")
        assert health["metrics"]["portfolio_calculation_queue_length"] == 1
        slow.cancel()

    run(scenario, SWITCHES_ON)


@pytest.mark.parametrize(
    ("phase", "status"), [(Phase.STARTING, "starting"), (Phase.DRAINING, "draining")]
)
def test_starting_and_draining_are_not_healthy(phase: Phase, status: str) -> None:
    async def scenario(running: Running) -> None:
        running.application.phase = phase
        code, health = await running.get("/health")
        assert (code, health["status"]) == (503, status)

    run(scenario)


def test_a_starting_instance_answers_no_requests() -> None:
    async def scenario(running: Running) -> None:
        running.application.phase = Phase.STARTING
        status, body = await running.get("/api/assets")
        assert (status, body) == (503, {"error": "The instance is still starting."})
        assert running.store.asked == []

    run(scenario)


def test_a_draining_instance_answers_and_closes_the_connection() -> None:
    async def scenario(running: Running) -> None:
        running.application.phase = Phase.DRAINING
        async with running.client.get("/api/assets") as answer:
            assert answer.status == 200
            assert answer.headers["Connection"] == "close"

    run(scenario)


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/portfolios?limit=x", 400, "limit is 'x'"),
        ("/api/portfolios?symbol=AAPL", 400, "'symbol' is unknown here; known: limit, user_id"),
        ("/api/trades?portfolio_id=0", 400, "portfolio_id is '0'"),
        ("/api/assets?symbol=A%3BB", 400, "symbol is 'A;B'"),
        ("/api/assets?cpu_ms=1", 400, "'cpu_ms' is unknown here"),
        ("/?limit=1", 400, "'limit' is unknown here; known: none"),
        ("/nowhere", 404, "/nowhere"),
    ],
)
def test_a_wrong_request_gets_one_sentence(path: str, status: int, sentence: str) -> None:
    async def scenario(running: Running) -> None:
        code, body = await running.get(path)
        assert code == status
        assert sentence in body["error"]

    run(scenario)


def test_writing_is_refused() -> None:
    async def scenario(running: Running) -> None:
        async with running.client.post("/api/assets") as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET,HEAD"
            assert "only read" in (await answer.json())["error"]

    run(scenario)


def test_a_defect_is_a_500_whose_cause_is_only_in_the_journal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(running: Running) -> None:
        running.store.failure = RuntimeError("planted-secret")
        status, body = await running.get("/api/assets")
        assert status == 500
        assert "planted-secret" not in body["error"]
        _, health = await running.get("/health")
        assert health["metrics"]["error_rate"] == 100

    run(scenario)
    assert "planted-secret" in caplog.text


def test_the_page_names_service_and_instance() -> None:
    async def scenario(running: Running) -> None:
        async with running.client.get("/") as answer:
            assert answer.content_type == "text/html"
            assert "aktienanalyse-core@8101" in await answer.text()

    run(scenario)


def test_the_error_share_fails_that_share_of_requests() -> None:
    async def scenario(running: Running) -> None:
        codes = [(await running.get("/api/assets"))[0] for _ in range(20)]
        assert codes.count(500) == 5

    run(scenario, Switches(load=Load(error_share=0.25)))


def test_a_request_can_ask_to_fail_and_to_calculate() -> None:
    async def scenario(running: Running) -> None:
        assert (await running.get("/api/assets?error=1"))[0] == 500
        assert (await running.get("/api/assets?cpu_ms=1&delay_ms=1"))[0] == 200

    run(scenario, SWITCHES_ON)


def test_clients_behind_a_balancer_are_told_apart() -> None:
    async def scenario(running: Running) -> None:
        for client in ("198.51.100.1", "198.51.100.2", "198.51.100.2, 198.51.100.9"):
            async with running.client.get("/", headers={"X-Forwarded-For": client}):
                pass
        _, health = await running.get("/health")
        assert health["metrics"]["active_trading_sessions"] == 2

    run(scenario)
