"""What is owed to Redis is done before Redis is used again, whenever it became owed."""

import asyncio
from typing import Any

from stellwerk.caching.invalidating import Invalidator
from stellwerk.caching.layers import declared
from stellwerk.caching.planning import plan
from tests.unit.caching.memory_storage import MemoryServer, MemoryStorage
from tests.unit.caching.shipped import caching


class BusySession:
    """A new connection, on whose first answer further invalidations have come to be owed."""

    def __init__(self, invalidator: Invalidator, meanwhile: str) -> None:
        self.deleted: list[str] = []
        self._invalidator = invalidator
        self._layers = declared(caching())
        self._meanwhile = [meanwhile]

    async def run(self, script: Any, keys: Any, arguments: Any) -> bytes:
        """Note what is deleted."""
        del script, arguments
        self.deleted += keys
        if self._meanwhile:
            self._invalidator.owe(plan(self._layers, [self._meanwhile.pop()]))
        return b"1-1"


def test_what_becomes_owed_while_it_is_settled_is_settled_too() -> None:
    async def scenario() -> None:
        layers = declared(caching())
        invalidator = Invalidator(layers, MemoryStorage(MemoryServer(), _never), 100)
        invalidator.owe(plan(layers, ["item:1:1"]))
        session: Any = BusySession(invalidator, "item:2:2")
        await invalidator.settle(session)
        assert {"item:1:1", "item:2:2"} <= set(session.deleted)

    asyncio.run(scenario())


async def _never() -> None:
    raise AssertionError("the storage is away")
