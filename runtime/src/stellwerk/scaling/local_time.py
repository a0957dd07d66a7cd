"""Moments of wall-clock times in a time zone, right also where clocks are set. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=4096)
def moment(day: date, at: str, zone: str, *, last: bool = False) -> datetime:
    """When a clock shows `at` ("HH:MM", "24:00" is the next midnight) on a day.

    A time that comes twice means the first, or the `last`. One that is skipped means the moment at
    which clocks are set.
    """
    if at == "24:00":
        day, at = day + timedelta(days=1), "00:00"
    wall = datetime.combine(day, time.fromisoformat(at), ZoneInfo(zone))
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return second if last else first
    return _transition(second, first, zone)


def _transition(before: datetime, after: datetime, zone: str) -> datetime:
    """The moment between two at which the clocks of a zone are set, to the second."""
    local = ZoneInfo(zone)
    earlier = before.astimezone(local).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(local).utcoffset() == earlier:
            before = middle
        else:
            after = middle
    return after
