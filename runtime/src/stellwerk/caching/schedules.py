"""Invalidations at set times: each time once in the cluster, and made up for where nobody ran.

Every cache daemon looks; Redis keeps up to which time a schedule was done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from stellwerk.caching import names
from stellwerk.caching.client import RedisClient
from stellwerk.caching.errors import RedisAwayError
from stellwerk.scaling.cron import last_match, next_match
from stellwerk.settings.caching import InvalidationSchedule

_LONGEST_SLEEP_SECONDS: Final = 30.0
"""The clock may be set, and Redis may come back: it is looked again after this."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_logger = logging.getLogger(__name__)


class Marks(Protocol):
    """Where it is kept up to which time a schedule was done. Raises RedisAwayError."""

    async def done(self, schedule: str) -> datetime | None:
        """The time of the last invalidation; None where there was none."""

    async def note(self, schedule: str, at: datetime) -> None:
        """It was done for this time."""


class RedisMarks:
    """Marks in Redis, so that one of several daemons is enough."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def done(self, schedule: str) -> datetime | None:
        """The time of the last invalidation; None where there was none."""
        seconds = await self._client.session.send("GET", names.schedule(schedule))
        return None if seconds is None else datetime.fromtimestamp(int(seconds), tz=UTC)

    async def note(self, schedule: str, at: datetime) -> None:
        """It was done for this time."""
        words = (names.schedule(schedule), int(at.timestamp()))
        await self._client.session.send("SET", *words)


class Schedules:
    """Carries the schedules of the settings out."""

    def __init__(
        self,
        schedules: Mapping[str, InvalidationSchedule],
        marks: Marks,
        invalidate: Callable[..., Awaitable[bool]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._schedules = dict(schedules)
        self._marks = marks
        self._invalidate = invalidate
        self._clock = clock
        self._done: dict[str, datetime] = {}

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            try:
                await self.run_due()
            except RedisAwayError:
                _logger.info("Redis is away: scheduled invalidations wait for it.")
            await asyncio.sleep(min(self.seconds_to_next(), _LONGEST_SLEEP_SECONDS))

    async def run_due(self) -> None:
        """Do what is due, and was not done by another. Raises RedisAwayError.

        Where nobody knows, as at the first start, it is done: an invalidation too many costs loads,
        one too few leaves what is wrong.
        """
        for name, schedule in self._schedules.items():
            due = last_match(schedule.cron, _local(self._clock(), schedule), schedule.timezone)
            if due is None:
                continue
            known = (await self._marks.done(name), self._done.get(name))
            if due > max(filter(None, known), default=_NEVER):
                if not await self._invalidate(*schedule.patterns):
                    raise RedisAwayError(f"Redis is away: the schedule {name} waits for it.")
                _logger.info("The schedule %s of %s was carried out.", name, due)
                await self._marks.note(name, due)
            self._done[name] = due

    def seconds_to_next(self) -> float:
        """Seconds until the next of all."""
        now = self._clock()
        waits = [
            (found - now).total_seconds()
            for schedule in self._schedules.values()
            if (found := next_match(schedule.cron, _local(now, schedule), schedule.timezone))
        ]
        return max(0.0, min(waits, default=_LONGEST_SLEEP_SECONDS))


def _local(moment: datetime, schedule: InvalidationSchedule) -> datetime:
    return moment.astimezone(ZoneInfo(schedule.timezone))
