"""When entries are needed before they are asked for: set times, and users' habits. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from stellwerk.scaling.cron import next_match
from stellwerk.settings.caching import WarmingSchedule

WEEKS: Final = 8
"""Weeks of the past that are looked at: enough for a habit, and few enough for a new one."""
WEEKS_LEAST: Final = 4
"""Of a user who is known for less, nothing is said."""


def next_time(schedule: WarmingSchedule, now: datetime) -> datetime | None:
    """When the entries of a schedule are to be loaded next; None: never."""
    hour, minute = schedule.at.split(":")
    days = ",".join(str(_CRON_DAYS.index(day)) for day in schedule.days)
    local = now.astimezone(ZoneInfo(schedule.timezone))
    return next_match(f"{int(minute)} {int(hour)} * * {days}", local, schedule.timezone)


def expected(
    log_ins: Mapping[str, Iterable[datetime]],
    now: datetime,
    *,
    zone: str,
    within: timedelta,
    confidence: float,
) -> dict[str, float]:
    """The users who are about to log in, with the measured share that speaks for it, 0 to 1.

    That is the share of the last weeks in which the user logged in on this day of the week, from
    this time of day on, `within` so long. Users below `confidence` are left out. The time of day is
    that of the zone, so a habit survives the setting of clocks.
    """
    windows = [_window(now, week, zone, within) for week in range(1, WEEKS + 1)]
    found = {
        user: share
        for user, times in log_ins.items()
        if (share := _share(sorted(times), windows)) is not None
    }
    return {user: share for user, share in found.items() if share >= confidence}


_CRON_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _window(
    now: datetime, weeks_ago: int, zone: str, within: timedelta
) -> tuple[datetime, datetime]:
    """The same time of day so many weeks ago, and the end of the window; in UTC."""
    local = now.astimezone(ZoneInfo(zone))
    begin = (local - timedelta(weeks=weeks_ago)).astimezone(UTC)
    return begin, begin + within


def _share(times: list[datetime], windows: Iterable[tuple[datetime, datetime]]) -> float | None:
    """In how many of the windows since the first log-in there was one; None: too few."""
    known = [window for window in windows if times and times[0] < window[1]]
    if len(known) < WEEKS_LEAST:
        return None
    kept = sum(any(begin <= time < end for time in times) for begin, end in known)
    return kept / len(known)
