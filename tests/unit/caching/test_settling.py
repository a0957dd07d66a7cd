"""What is owed to Redis is done before Redis is used again, whenever it became owed."""

import asyncio
from typing import Any

from stellwerk.caching.invalidating import Invalidator
from stellwerk.caching.layers import declared
from stellwerk.caching.owing import OWED_MAX, Owed
from stellwerk.caching.planning import layer_plan, plan
from stellwerk.caching.storage import Plan
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


def test_beyond_a_bound_all_layers_are_owed_in_place_of_names() -> None:
    layers = declared(caching())
    owed = Owed(layers)
    for number in range(OWED_MAX + 2):
        owed.add(plan(layers, [f"item:1:{number}"]))
    owed.add(Plan(tags=("eu",)))
    every = tuple(stamp for one in layers.all for stamp in layer_plan(one).stamps)
    assert owed.take() == Plan(stamps=every, tags=("eu",))
    assert not owed
    owed.add(plan(layers, ["item:1:1"]))
    assert [place.key for place in owed.take().places] == ["item:1:1"]


async def _never() -> None:
    raise AssertionError("the storage is away")
