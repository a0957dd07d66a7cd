"""Scheduled invalidations: at their time in their zone, once, and made up for."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from stellwerk.caching.errors import RedisAwayError
from stellwerk.caching.schedules import Schedules
from stellwerk.settings.caching import InvalidationSchedule

EVENING = {
    "evening": InvalidationSchedule(
        cron="0 22 * * 1-5", timezone="Europe/Berlin", patterns=["market:*:intraday:*"]
    )
}
FRIDAY = datetime(2026, 3, 27, 20, 59, tzinfo=UTC)


class MemoryMarks:
    """What several daemons share."""

    def __init__(self) -> None:
        self.times: dict[str, datetime] = {}

    async def done(self, schedule: str) -> datetime | None:
        """The time of the last invalidation."""
        return self.times.get(schedule)

    async def note(self, schedule: str, at: datetime) -> None:
        """It was done for this time."""
        self.times[schedule] = at


class Daemon:
    """One that looks when it is told to."""

    def __init__(self, marks: MemoryMarks) -> None:
        self.now = FRIDAY
        self.connected = True
        self.invalidated: list[str] = []
        self.schedules = Schedules(EVENING, marks, self._invalidate, lambda: self.now)

    async def _invalidate(self, *patterns: str) -> bool:
        self.invalidated += patterns if self.connected else ()
        return self.connected

    def look(self, *times: datetime) -> int:
        """How often it invalidated when it looked at these times."""
        return asyncio.run(self._look(times))

    async def _look(self, times: Iterable[datetime]) -> int:
        before = len(self.invalidated)
        for self.now in times:
            await self.schedules.run_due()
        return len(self.invalidated) - before


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment in March 2026."""
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def test_it_is_carried_out_at_its_time_and_where_nobody_knows() -> None:
    daemon = Daemon(MemoryMarks())
    assert daemon.look(FRIDAY, FRIDAY) == 1
    assert daemon.look(utc(27, 21, 0)) == 1
    assert daemon.invalidated == 2 * ["market:*:intraday:*"]


def test_a_mark_that_redis_has_lost_is_remembered() -> None:
    marks = MemoryMarks()
    daemon = Daemon(marks)
    daemon.look(FRIDAY)
    marks.times.clear()
    assert daemon.look(FRIDAY) == 0
    assert daemon.look(utc(27, 21, 0)) == 1


def test_each_time_is_carried_out_once_by_one_of_several_daemons() -> None:
    marks = MemoryMarks()
    first, second = Daemon(marks), Daemon(marks)
    first.look(FRIDAY)
    assert first.look(utc(27, 21, 0), utc(27, 21, 0, 30)) + second.look(utc(27, 21, 1)) == 1


def test_the_time_is_that_of_the_zone_also_when_clocks_are_set() -> None:
    daemon = Daemon(MemoryMarks())
    daemon.look(utc(27, 21, 0))
    # From 29 March on it is 22:00 in Berlin at 20:00 UTC.
    assert daemon.look(utc(30, 19, 59)) == 0
    assert daemon.look(utc(30, 20, 0)) == 1


def test_what_was_missed_is_made_up_for_once() -> None:
    marks = MemoryMarks()
    Daemon(marks).look(utc(23, 12))
    assert Daemon(marks).look(utc(27, 12), utc(27, 12, 1)) == 1


def test_what_redis_did_not_hear_stays_due() -> None:
    daemon = Daemon(MemoryMarks())
    daemon.look(FRIDAY)
    daemon.connected = False
    with pytest.raises(RedisAwayError):
        daemon.look(utc(27, 21, 0))
    daemon.connected = True
    assert daemon.look(utc(27, 21, 5)) == 1


def test_it_sleeps_until_the_next_time() -> None:
    assert Daemon(MemoryMarks()).schedules.seconds_to_next() == 60
