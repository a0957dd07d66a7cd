"""The cache: what a program opens once, and gets its layers from."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.client import RedisClient
from stellwerk.caching.errors import CacheError
from stellwerk.caching.following import Follower
from stellwerk.caching.layer import Layer, Loader
from stellwerk.caching.layer_set import LayerSet
from stellwerk.caching.planning import plan
from stellwerk.caching.rate_limit import RateLimiter
from stellwerk.caching.storage import Plan, RedisStorage
from stellwerk.caching.totals import Totals, summed
from stellwerk.caching.waking import Waker
from stellwerk.settings.caching import Caching
from stellwerk.settings.redis import KeepAlive

T = TypeVar("T")


class Cache:
    """The layers of the settings on one Redis. Use it as `async with Cache(...) as cache`.

    Raises DeclarationError where the settings contradict themselves. Redis may be away at any
    time, also at the start: values then come from their loaders.
    """

    def __init__(
        self, settings: Caching, address: RedisAddress, keepalive: KeepAlive | None = None
    ) -> None:
        timeout = settings.client.operation_timeout_ms / 1000
        self.client = RedisClient(address, timeout, keepalive or KeepAlive())
        storage = self._storage = RedisStorage(self.client, settings.client.stream_length)
        self._waker = Waker(self.client)
        self._layers = LayerSet(settings, storage, self._waker, self._copies_are_followed)
        self._totals = Totals(self.client)
        self.rate_limiter = RateLimiter(settings.rate_limits, self.client)
        self._follower = Follower(self.client, self._layers.invalidator.validity)
        self.client.before_use.append(self._layers.invalidator.settle)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.client.open()
        self._tasks = [
            asyncio.create_task(self._layers.usage.run()),
            asyncio.create_task(self._totals.run(self._layers.counted)),
        ]
        if any(declaration.local_seconds for declaration in self._layers.declared.all):
            self._tasks.append(asyncio.create_task(self._follower.run()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the loads under way and close the connections."""
        await self._layers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(CacheError):
            await self._totals.add(self._layers.counted())
        self._waker.close()
        await self.client.close()

    @property
    def connected(self) -> bool:
        """Whether Redis is used now."""
        return self.client.connected

    @overload
    def layer(self, name: str, *, type: type[T], load: Loader[T] | None = None) -> Layer[T]: ...
    @overload
    def layer(
        self, name: str, *, type: Any = None, load: Loader[Any] | None = None
    ) -> Layer[Any]: ...

    def layer(
        self,
        name: str,
        *,
        type: Any = None,  # noqa: A002 - what it is
        load: Loader[Any] | None = None,
    ) -> Layer[Any]:
        """The layer of this name, the same object each time.

        `type` is that of its values, such as a msgspec Struct; without one they are of free form.
        `load` is given the fields of an entry and returns its value. Both are given once. Raises
        UnknownLayerError, and DeclarationError for a second, different type or loader.
        """
        return self._layers.layer(name, type, load)

    async def invalidate(self, *patterns: str) -> bool:
        """Make every entry of these patterns worthless, and every load of them under way.

        `*` stands for any text up to the next colon, at the end for all that follows. False: Redis
        is away; it is done before Redis is used again.
        """
        return await self._layers.invalidate(plan(self._layers.declared, patterns))

    async def invalidate_event(self, event: str, /, **parameters: object) -> bool:
        """The same for the patterns that the settings declare for an event.

        Raises KeyFieldError where a parameter is missing, DeclarationError for an unknown event.
        """
        return await self.invalidate(*self._layers.patterns(event, parameters))

    def patterns(self, event: str, parameters: Mapping[str, object]) -> list[str]:
        """The patterns that the settings declare for an event, filled; errors as above."""
        return self._layers.patterns(event, parameters)

    def covers_all(self, patterns: Sequence[str]) -> bool:
        """Whether these patterns cover every layer there is."""
        declared = self._layers.declared
        covered = plan(declared, patterns).stamps
        return bool(declared.all) and {one.stamp for one in declared.all} <= set(covered)

    def layers_of(self, *patterns: str) -> list[str]:
        """The layers that these patterns cover as a whole, by name."""
        declared = self._layers.declared
        covered = set(plan(declared, patterns).stamps)
        return [one.name for one in declared.all if one.stamp in covered]

    def figures(self) -> dict[str, float]:
        """What this process counted in the layers it has asked for, by names for metrics."""
        return self._layers.figures()

    async def totals(self, *, of_this_host: bool = False) -> dict[str, dict[str, float]]:
        """What all processes counted, by layer: those of all hosts, or of this one.

        They are some seconds old. Raises RedisAwayError.
        """
        by_host = await self._totals.by_host()
        return by_host.get(self._totals.host, {}) if of_this_host else summed(by_host)

    async def memory(self) -> dict[str, dict[str, int]]:
        """The bytes that each layer with a budget takes, and that. Raises RedisAwayError."""
        return {
            declaration.name: {
                "bytes": await self._storage.memory(declaration.name),
                "budget": declaration.budget,
            }
            for declaration in self._layers.declared.all
            if declaration.budget is not None
        }

    async def invalidate_tags(self, *tags: str) -> bool:
        """The same for the entries that carry one of these tags; their memory is freed."""
        return await self._layers.invalidate(Plan(tags=tags))

    def _copies_are_followed(self) -> bool:
        return self._follower.following
