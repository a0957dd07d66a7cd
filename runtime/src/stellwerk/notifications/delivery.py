"""Delivers what waits, to each receiver at its own pace: one that is away holds up nobody else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from stellwerk.notifications.message import Message
from stellwerk.notifications.outbox import Outbox
from stellwerk.notifications.receiver import DeliveryError, Receiver
from stellwerk.terminal.figures import plural

TIME_LIMIT_SECONDS: Final = 30.0
"""Time one delivery may take."""
FIRST_WAIT_SECONDS: Final = 5.0
"""Wait after the first failure; each further one doubles it,"""
LONGEST_WAIT_SECONDS: Final = 300.0
"""up to this."""
KEPT_FOR: Final = timedelta(days=1)
"""A message that could not be delivered for so long is of no use any more."""

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

_logger = logging.getLogger(__name__)


class Notifications:
    """Takes messages and delivers them. `folder` holds a queue for each receiver."""

    def __init__(
        self,
        folder: Path,
        receivers: Iterable[Receiver],
        *,
        group_seconds: float,
        pause: Pause = asyncio.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`group_seconds`: messages within this time are delivered as one, unless one is urgent."""
        self._couriers = {
            one.name: _Courier(one, Outbox(folder / one.name), group_seconds, pause, clock)
            for one in receivers
        }

    @property
    def receivers(self) -> tuple[str, ...]:
        """The names of all receivers."""
        return tuple(self._couriers)

    def tell(
        self,
        message: Message,
        *,
        channels: Collection[str] | None = None,
        urgent: bool = False,
    ) -> None:
        """Queue a message for the receivers of these names, or for all. Returns at once.

        `urgent`: it is not kept to be grouped with others.
        """
        for name, courier in self._couriers.items():
            if channels is None or name in channels:
                courier.tell(message, urgent)

    def waiting(self) -> dict[str, int]:
        """How many messages wait, by receiver."""
        return {name: courier.waiting for name, courier in self._couriers.items()}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for courier in self._couriers.values():
                group.create_task(courier.run())


class _Courier:
    """Brings what waits in one outbox to its receiver, all of it as one delivery."""

    def __init__(
        self,
        receiver: Receiver,
        outbox: Outbox,
        group_seconds: float,
        pause: Pause,
        clock: Callable[[], datetime],
    ) -> None:
        self._receiver = receiver
        self._outbox = outbox
        self._group_seconds = group_seconds
        self._pause = pause
        self._clock = clock
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._failures = 0
        if outbox:
            self._work.set()
            self._urgent.set()

    @property
    def waiting(self) -> int:
        return len(self._outbox)

    def tell(self, message: Message, urgent: bool) -> None:
        self._outbox.add(message)
        self._work.set()
        if urgent:
            self._urgent.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            await self._gather()
            self._work.clear()
            self._urgent.clear()
            self._drop_old()
            while self._outbox:
                await self._deliver()
                self._drop_old()

    async def _gather(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._group_seconds):
                await self._urgent.wait()

    async def _deliver(self) -> None:
        batch = self._outbox.waiting()
        try:
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                await self._receiver.deliver([entry.message for entry in batch])
        except DeliveryError as error:
            await self._wait_after(str(error), error.retry_after)
        except TimeoutError:
            await self._wait_after(f"no answer within {TIME_LIMIT_SECONDS:.0f} s")
        except Exception as error:  # an alert must not end the daemon that has it to tell
            _logger.exception("%s: a fault of its own", self._receiver.name)
            await self._wait_after(f"{type(error).__name__}")
        else:
            if self._failures:
                _logger.warning("%s takes messages again", self._receiver.name)
            self._failures = 0
            self._outbox.remove_through(batch[-1].number)

    async def _wait_after(self, sentence: str, asked: float | None = None) -> None:
        if not self._failures:  # said once, not at every try
            _logger.error("%s: %s; tried again until it works", self._receiver.name, sentence)
        wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(self._failures, 16), LONGEST_WAIT_SECONDS)
        self._failures += 1
        await self._pause(max(wait, min(asked or 0.0, LONGEST_WAIT_SECONDS)))

    def _drop_old(self) -> None:
        limit = self._clock() - KEPT_FOR
        old = [entry for entry in self._outbox.waiting() if entry.message.at < limit]
        if old:
            name, count = self._receiver.name, plural(len(old), "message")
            _logger.error("%s: %s not delivered for a day, given up", name, count)
            self._outbox.remove_through(old[-1].number)
