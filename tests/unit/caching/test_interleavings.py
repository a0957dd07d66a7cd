"""Ten thousand random interleavings of loads, refreshes, writes, invalidations and evictions.

The claim at every read: no value older than the last invalidation that had ended before the read
began; and at the end: the present value everywhere. For a process' own copies an invalidation by
another process has ended once it was told of it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from types import coroutine
from typing import Any

import pytest

from stellwerk.caching.invalidating import voided_names
from stellwerk.caching.layer_set import LayerSet
from stellwerk.caching.planning import layer_plan, plan
from stellwerk.caching.storage import Plan
from stellwerk.settings.caching import Caching
from tests.unit.caching.memory_storage import MemoryServer, MemoryStorage, MemoryWaking
from tests.unit.caching.shipped import caching

INTERLEAVINGS = 10_000
SETTINGS = (
    caching(),
    caching(refresh_ahead_percent=0.000001),
    caching(layer={"local_seconds": 30}),
    caching(layer={"local_seconds": 30}, refresh_ahead_percent=0.000001),
)
ENTRIES = ((1, 1), (1, 2), (2, 1))
"""Shop and id of the entries: two of one entity, one of another."""
TAGS = ("eu",)


@coroutine
def turns(count: int) -> Generator[None, None, None]:
    """Let others go on so often: what asyncio.sleep(0) does, in half the time of millions."""
    for _ in range(count):
        yield


@dataclass(frozen=True)
class Update:
    """The source was changed and the cache told so."""

    entries: tuple[tuple[int, int], ...]
    versions: dict[tuple[int, int], int]
    """The place in the order of commits."""
    node: int
    events: int
    """How many events there were when it had ended."""


@dataclass
class Node:
    """A process: its layers, and how far it has followed the stream."""

    layers: LayerSet
    followed: int = 0


@dataclass
class World:
    """One interleaving."""

    seed: int
    settings: Caching
    server: MemoryServer = field(default_factory=MemoryServer)
    source: dict[tuple[int, int], int] = field(default_factory=lambda: dict.fromkeys(ENTRIES, 0))
    commits: list[int] = field(default_factory=lambda: [0])
    """Every value the source ever had, in the order in which it took them."""
    values: int = 0
    updates: list[Update] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Two nodes."""
        self.chance = random.Random(self.seed)
        storage = MemoryStorage(self.server, self.pause)
        for _ in range(2):
            layers = LayerSet(
                self.settings, storage, MemoryWaking(self.server), lambda: True, lambda: 0.0
            )
            self.nodes.append(Node(layers))

    def pause(self) -> Awaitable[None]:
        """As long as chance has it, in turns of the loop."""
        return turns(self.chance.choice((0, 0, 1, 1, 2, 5)))

    async def read(self, node: int, entry: tuple[int, int]) -> None:
        """A caller; its claim."""
        await self.pause()
        oldest = self._oldest_allowed(node, entry)
        shop, number = entry

        async def load() -> int:
            await self.pause()
            version = self.source[entry]
            await self.pause()
            if self.chance.random() < 0.05:
                raise OSError("the source failed")
            return version

        try:
            layer = self.nodes[node].layers.layer("shop.item")
            value = await layer.get(shop=shop, id=number, load=load, tags=TAGS)
        except OSError:
            return
        assert self.commits.index(value) >= oldest, (self.seed, node, entry, value, oldest)

    async def update(self, node: int) -> None:
        """Somebody changes the source, then invalidates."""
        await self.pause()
        entries, invalidation = self.chance.choice(WAYS)
        for entry in entries:
            self.commit(entry, self.new_value())
        committed = len(self.commits) - 1
        await self.pause()
        assert await self.nodes[node].layers.invalidate(invalidation(self.nodes[node].layers))
        self.updates.append(
            Update(entries, self.latest(entries, committed), node, len(self.server.events))
        )

    async def write_through(self, node: int, entry: tuple[int, int]) -> None:
        """Somebody writes the source through the cache."""
        await self.pause()
        value = self.new_value()

        async def save() -> None:
            await self.pause()
            self.commit(entry, value)
            await self.pause()

        layer = self.nodes[node].layers.layer("shop.item")
        await layer.write_through(value, save, shop=entry[0], id=entry[1], tags=TAGS)
        versions = {entry: self.commits.index(value)}
        self.updates.append(Update((entry,), versions, node, len(self.server.events)))

    def new_value(self) -> int:
        """One that the source never had."""
        self.values += 1
        return self.values

    def commit(self, entry: tuple[int, int], value: int) -> None:
        """The source takes a value."""
        self.source[entry] = value
        self.commits.append(value)

    def latest(
        self, entries: tuple[tuple[int, int], ...], committed: int
    ) -> dict[tuple[int, int], int]:
        """The place in `commits` of what an update that ended there has made of its entries."""
        return {
            entry: committed - len(entries) + 1 + number for number, entry in enumerate(entries)
        }

    async def evict(self) -> None:
        """Redis needs room, and takes anything."""
        await self.pause()
        kept: Any = self.chance.choice((self.server.values, self.server.stamps, self.server.leases))
        if kept:
            key = self.chance.choice(sorted(kept))
            del kept[key]
            self.server.wake(key)

    async def follow(self, node: int) -> None:
        """Follow the stream, some of it."""
        for _ in range(3):
            await self.pause()
            self.catch_up(node)

    def catch_up(self, node: int) -> None:
        """Follow the stream to its end."""
        follower = self.nodes[node]
        for event in self.server.events[follower.followed :]:
            follower.layers.invalidator.validity.void(voided_names(event))
        follower.followed = len(self.server.events)

    async def play(self) -> None:
        """All of them at once, then what must hold at the end."""
        acts: list[Callable[[], Coroutine[Any, Any, None]]] = [
            lambda: self.read(self.chance.randrange(2), self.chance.choice(ENTRIES[:2])),
            lambda: self.read(self.chance.randrange(2), self.chance.choice(ENTRIES)),
            lambda: self.update(self.chance.randrange(2)),
            lambda: self.write_through(self.chance.randrange(2), self.chance.choice(ENTRIES)),
            lambda: self.follow(self.chance.randrange(2)),
            self.evict,
        ]
        chosen = self.chance.choices(acts, weights=(6, 2, 3, 1, 2, 1), k=self.chance.randint(5, 12))
        await asyncio.gather(*(act() for act in chosen))
        for node in range(2):
            self.catch_up(node)
            for entry in ENTRIES:
                await self.read(node, entry)
            await self.nodes[node].layers.close()

    def _oldest_allowed(self, node: int, entry: tuple[int, int]) -> int:
        known = self.nodes[node]
        follows = self.settings.caches["shop"].layers["item"].local_seconds > 0
        return max(
            (
                update.versions[entry]
                for update in self.updates
                if entry in update.entries
                and (not follows or update.node == node or update.events <= known.followed)
            ),
            default=0,
        )


WAYS: tuple[tuple[tuple[tuple[int, int], ...], Callable[[LayerSet], Plan]], ...] = (
    (ENTRIES[:1], lambda layers: plan(layers.declared, ["item:1:1"])),
    (ENTRIES[:2], lambda layers: plan(layers.declared, ["item:1:*"])),
    ((ENTRIES[0], ENTRIES[2]), lambda layers: plan(layers.declared, ["item:*:1"])),
    (ENTRIES, lambda layers: layer_plan(layers.declared["shop.item"])),
    (ENTRIES, lambda _: Plan(tags=TAGS)),
)


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_no_interleaving_leaves_a_stale_value(number: int) -> None:
    async def scenario() -> None:
        for seed in range(number, INTERLEAVINGS, len(SETTINGS)):
            async with asyncio.timeout(60):
                await World(seed, SETTINGS[number]).play()

    asyncio.run(scenario())
