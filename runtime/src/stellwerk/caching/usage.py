"""When entries of layers with a budget were last used, told to Redis once a second."""

import asyncio
import contextlib
from typing import Final

from stellwerk.caching.errors import CacheError
from stellwerk.caching.storage import Place, Storage

_FLUSH_SECONDS: Final = 1.0
_KEYS_MAX: Final = 10_000
"""Keys remembered at most between two flushes; the use of others is not noted."""


class Usage:
    """Remembers uses until the next flush."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._used: dict[str, dict[str, int]] = {}

    def note(self, place: Place) -> None:
        """The entry was used now."""
        keys = self._used.setdefault(place.layer, {})
        if len(keys) < _KEYS_MAX:
            keys[place.key] = self._storage.now()

    async def flush(self) -> None:
        """Tell Redis. Raises RedisAwayError; what was noted is forgotten all the same."""
        used, self._used = self._used, {}
        for layer, keys in used.items():
            await self._storage.touch(layer, list(keys.items()))

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            with contextlib.suppress(CacheError):
                await self.flush()
