"""How a lost server is noticed and found again, and how long a call may take."""

import asyncio

import pytest

from stellwerk.sample.availability import Availability, Reach, watch
from stellwerk.sample.bounded import Bounded


class Server:
    """A dependency that counts how often it is looked at."""

    def __init__(self) -> None:
        self.availability = Availability("server")
        self.availability.found()
        self.probed = asyncio.Event()

    async def probe(self) -> None:
        self.availability.found()
        self.probed.set()

    async def close(self) -> None:
        """Nothing to close."""


def test_a_lost_server_is_looked_at_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellwerk.sample.availability.PROBE_SECONDS", 3600.0)

    async def lose() -> Reach:
        server = Server()
        watching = asyncio.ensure_future(watch(server))
        await asyncio.sleep(0)
        server.availability.lost("connection refused")
        async with asyncio.timeout(30):
            await server.probed.wait()
        watching.cancel()
        return server.availability.reach

    assert asyncio.run(lose()) is Reach.REACHABLE


def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    availability = Availability("Redis")
    with caplog.at_level("INFO"):
        for _ in range(3):
            availability.lost("connection refused")
        for _ in range(3):
            availability.found()
    assert [record.message for record in caplog.records] == [
        "Redis is away: connection refused",
        "Redis is reachable.",
    ]


def test_a_call_within_its_limit_gives_its_result() -> None:
    async def call() -> int:
        return await Bounded().within(30, asyncio.sleep(0, result=7))

    assert asyncio.run(call()) == 7


def test_a_call_that_ignores_its_cancellation_is_given_up_all_the_same() -> None:
    async def stubborn(released: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await released.wait()
            raise

    async def call() -> bool:
        bounded, released = Bounded(), asyncio.Event()
        with pytest.raises(TimeoutError, match="no answer within"):
            await bounded.within(0.01, stubborn(released))
        await bounded.close()
        return released.is_set()

    assert asyncio.run(call()) is False
