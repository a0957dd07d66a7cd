"""Caches on a test's Redis, and the scenarios that use them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.endpoint import Endpoint
from stellwerk.settings.caching import Caching
from tests.unit.caching.redis_server import PATIENCE_SECONDS, RedisServer
from tests.unit.caching.shipped import caching


class Node:
    """Opens caches of one scenario, each like a process of its own."""

    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    async def cache(self, settings: Caching | None = None) -> Cache:
        """A further cache on the server."""
        return await self._stack.enter_async_context(
            Cache(settings or caching(), address(self.server))
        )


def address(server: RedisServer) -> RedisAddress:
    """Where a test's server is."""
    return RedisAddress(Endpoint("127.0.0.1", server.port))


def run(server: RedisServer, scenario: Callable[[Node], Awaitable[None]]) -> None:
    """Run a scenario, and close its caches when it ends."""

    async def staged() -> None:
        async with asyncio.timeout(2 * PATIENCE_SECONDS), AsyncExitStack() as stack:
            await scenario(Node(server, stack))

    asyncio.run(staged())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


class Source:
    """Where values come from: counts its loads, and can be held and made to fail."""

    def __init__(self, value: Any = "old") -> None:
        self.value = value
        self.loads = 0
        self.failure: Exception | None = None
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def load(self) -> Any:
        """The value as it was when the load began."""
        self.loads += 1
        value = self.value
        self.begun.set()
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return value

    async def held(self, get: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A get whose load has begun and does not end before `open` is set."""
        self.open.clear()
        self.begun.clear()
        task = asyncio.ensure_future(get)
        await self.begun.wait()
        return task
