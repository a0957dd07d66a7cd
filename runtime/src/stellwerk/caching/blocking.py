"""The cache for programs without an event loop: the same layers, run by a loop in a thread."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.caching.layer import Layer
from stellwerk.settings.caching import Caching


class BlockingCache:
    """Use it as `with BlockingCache(settings, address) as cache`, from any number of threads."""

    def __init__(self, settings: Caching, address: RedisAddress) -> None:
        self._cache = Cache(settings, address)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="cache")

    def __enter__(self) -> Self:
        """Connect."""
        self._thread.start()
        self._run(self._cache.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections and end the thread."""
        self._run(self._cache.__aexit__(kind, error, traceback))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def layer(self, name: str, *, type: Any = None) -> "BlockingLayer":  # noqa: A002 - as in Cache
        """The layer of this name; see Cache.layer."""
        return BlockingLayer(self._cache.layer(name, type=type), self._run)

    def invalidate(self, *patterns: str) -> bool:
        """See Cache.invalidate."""
        return bool(self._run(self._cache.invalidate(*patterns)))

    def invalidate_event(self, event: str, /, **parameters: object) -> bool:
        """See Cache.invalidate_event."""
        return bool(self._run(self._cache.invalidate_event(event, **parameters)))

    def invalidate_tags(self, *tags: str) -> bool:
        """See Cache.invalidate_tags."""
        return bool(self._run(self._cache.invalidate_tags(*tags)))

    def _run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result()


class BlockingLayer:
    """A layer whose methods block. Loaders run in threads, so they may block too."""

    def __init__(self, layer: Layer[Any], run: Callable[[Any], Any]) -> None:
        self._layer = layer
        self._run = run

    def get(self, /, *, load: Callable[[], Any], tags: Iterable[str] = (), **fields: object) -> Any:
        """See Layer.get."""

        async def in_thread() -> Any:
            return await asyncio.to_thread(load)

        return self._run(self._layer.get(load=in_thread, tags=tags, **fields))

    def peek(self, /, default: Any = None, **fields: object) -> Any:
        """See Layer.peek."""
        return self._run(self._layer.peek(default, **fields))

    def set(self, value: Any, /, *, tags: Iterable[str] = (), **fields: object) -> bool:
        """See Layer.set."""
        return bool(self._run(self._layer.set(value, tags=tags, **fields)))

    def invalidate(self, /, **fields: object) -> bool:
        """See Layer.invalidate."""
        return bool(self._run(self._layer.invalidate(**fields)))
