"""Totals of what all processes counted, kept in Redis by host: the figures of a layer as a whole.

A process adds what it counted every few seconds and when it ends, so that nobody has to ask each.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Final

from stellwerk.caching import names
from stellwerk.caching.client import RedisClient
from stellwerk.caching.connection import Word
from stellwerk.caching.errors import CacheError
from stellwerk.caching.scripts import ADD

_ADD_SECONDS: Final = 10.0
_BETWEEN: Final = "|"  # in no name of a host, layer or counter

Counted = Mapping[str, Mapping[str, float]]
"""Growing numbers by the name of a layer and their own."""


class Totals:
    """The totals; `host` is the name under which this process adds to them."""

    def __init__(self, client: RedisClient, host: str | None = None) -> None:
        self.host: Final = host or socket.gethostname()
        self._client = client
        self._added: dict[tuple[str, str], float] = {}

    async def run(self, counted: Callable[[], Counted]) -> None:
        """Add what this process counts, for ever."""
        while True:
            await asyncio.sleep(_ADD_SECONDS)
            with contextlib.suppress(CacheError):
                await self.add(counted())

    async def add(self, counted: Counted) -> None:
        """Add what was counted since the last time. Raises RedisAwayError; it is added later."""
        now = {
            (layer, name): value
            for layer, numbers in counted.items()
            for name, value in numbers.items()
        }
        words: list[Word] = []
        for (layer, name), value in now.items():
            more = value - self._added.get((layer, name), 0)
            if more:
                words += (_BETWEEN.join((self.host, layer, name)), repr(more))
        if words:
            await self._client.session.run(ADD, (names.TOTALS,), words)
            self._added = now

    async def by_host(self) -> dict[str, dict[str, dict[str, float]]]:
        """The totals by host, layer and name. Raises RedisAwayError."""
        answer = await self._client.session.send("HGETALL", names.TOTALS)
        found: dict[str, dict[str, dict[str, float]]] = {}
        for field, value in zip(answer[::2], answer[1::2], strict=True):
            host, layer, name = field.decode().split(_BETWEEN)
            found.setdefault(host, {}).setdefault(layer, {})[name] = float(value)
        return found


def summed(by_host: Mapping[str, Counted]) -> dict[str, dict[str, float]]:
    """The totals of all hosts together."""
    found: dict[str, dict[str, float]] = {}
    for layers in by_host.values():
        for layer, numbers in layers.items():
            total = found.setdefault(layer, {})
            for name, value in numbers.items():
                total[name] = total.get(name, 0) + value
    return found
