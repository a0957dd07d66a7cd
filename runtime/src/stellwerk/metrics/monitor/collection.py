"""One collection after another: all collectors at once, none waits for another."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from stellwerk.metrics.collectors.collector import Collector
from stellwerk.metrics.reading import Reading

GRACE_SECONDS: Final = 0.5
"""What a collector may take beyond its time before the collection goes on without it."""

_logger: Final = logging.getLogger(__name__)

Take = Callable[[str, Sequence[Reading]], None]


class Collection:
    """All collectors of a host; `take` gets each one's readings as soon as they are there."""

    def __init__(self, collectors: Sequence[Collector], seconds: float, take: Take) -> None:
        self._collectors = collectors
        self._seconds = seconds
        self._take = take
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def collect(self) -> None:
        """Look at everything once, after its time and a little more at the latest.

        A collector that is still at it from before is left alone.
        """
        for collector in self._collectors:
            if collector.name not in self._busy:
                self._busy[collector.name] = asyncio.create_task(self._look(collector))
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=self._seconds + GRACE_SECONDS)
        for name, task in list(self._busy.items()):
            if task.done():
                del self._busy[name]
                task.result()
            else:
                _logger.warning("%s takes longer than it may; the others go on", name)

    async def _look(self, collector: Collector) -> None:
        try:
            self._take(collector.name, await collector.look(self._seconds))
        except Exception:
            _logger.exception("%s cannot be read; the others go on", collector.name)

    async def close(self) -> None:
        """End what is going on, and all connections."""
        for task in self._busy.values():
            task.cancel()
        if self._busy:
            await asyncio.wait(self._busy.values())
        for collector in self._collectors:
            collector.close()


async def ticks(seconds: float, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[None]:
    """Come back every so many seconds, the first time at once. What took longer costs the times it
    took, and moves none that follow.
    """
    start = clock()
    number = 0
    while True:
        yield
        number = max(number + 1, math.ceil((clock() - start) / seconds))
        await asyncio.sleep(start + number * seconds - clock())
