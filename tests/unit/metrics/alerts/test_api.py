"""Claims about the alerts in the monitor's HTTP API."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from stellwerk.metrics.alerts import api
from tests.unit.metrics.alerts.examples import REDIS_UP
from tests.unit.metrics.alerts.test_center import Host

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def _ask(host: Host, scenario: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        application = web.Application()
        queued = {"slack": 2}
        application.add_routes(api.routes("cache-1", host.center, lambda: queued, lambda: host.at))
        async with TestClient(TestServer(application)) as client:
            return await scenario(client)

    return asyncio.run(run())


def test_alerts_are_shown_with_value_threshold_and_time(host: Host) -> None:
    host.collect({REDIS_UP: 0}, times=10)

    async def scenario(client: Client) -> Any:
        return await (await client.get(api.PATH)).json()

    shown = _ask(host, scenario)
    (alert,) = shown["alerts"]
    assert shown["host"] == "cache-1"
    assert shown["messages_queued"] == {"slack": 2}
    assert alert["summary"] == "redis 6379 is down"
    assert (alert["severity"], alert["value"], alert["threshold"]) == ("critical", 0, 0)
    assert alert["labels"] == {"port": "6379"}
    assert alert["since"].endswith("+00:00")
    assert alert["silenced"] is False


def test_a_silence_is_made_shown_and_ended(host: Host) -> None:
    async def scenario(client: Client) -> None:
        wanted = {"seconds": 600, "by": "ops", "reason": "upgrade", "metric": "redis.*"}
        made = await client.post(api.SILENCES, json=wanted)
        assert made.status == 201
        silence = await made.json()
        assert (silence["metric"], silence["service"]) == ("redis.*", "*")
        assert (await (await client.get(api.PATH)).json())["silences"] == [silence]
        path = f"{api.SILENCES}/{silence['number']}"
        assert (await client.delete(path)).status == 200
        again = await client.delete(path)
        assert again.status == 404
        assert "no silence 1" in (await again.json())["error"]

    _ask(host, scenario)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        [],
        {"seconds": 0},
        {"seconds": "10"},
        {"seconds": True},
        {"seconds": 1e9},
        {"seconds": 60, "metric": 5},
        {"seconds": 60, "reason": "x" * 501},
        {"seconds": 60, "metrics": "redis.*"},
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_with_a_sentence(
    host: Host, wanted: object
) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.post(api.SILENCES, json=wanted)
        assert answer.status == 400
        assert "expected" in (await answer.json())["error"]

    _ask(host, scenario)
    assert host.center.silences() == ()


def test_what_is_no_json_is_refused(host: Host) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.post(api.SILENCES, data=b"{")).status == 400

    _ask(host, scenario)
