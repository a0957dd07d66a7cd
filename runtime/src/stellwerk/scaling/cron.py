"""When a cron expression matches. Pure.

The five fields are minute, hour, day of month, month, day of week (0 and 7 are Sunday), in figures.
A day matches where month and both kinds of day do; if neither kind of day is `*`, one is enough.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from stellwerk.scaling.local_time import moment

_LONGEST_WAIT: Final = timedelta(days=8 * 366 + 1)
"""A 29th of February may be eight years away."""
_RANGES: Final = (range(60), range(24), range(1, 32), range(1, 13), range(8))


@lru_cache(maxsize=256)
def _fields(expression: str) -> tuple[frozenset[int], ...]:
    written = expression.split()
    return tuple(_numbers(one, allowed) for one, allowed in zip(written, _RANGES, strict=True))


def _numbers(field: str, allowed: range) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        bounds = [int(one) for one in re.findall(r"\d+", span)]
        first = bounds[0] if bounds else allowed.start
        last = bounds[-1] if bounds and (len(bounds) > 1 or not step) else allowed.stop - 1
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _day_matches(expression: str, day: date) -> bool:
    _, _, days, months, weekdays = _fields(expression)
    if day.month not in months:
        return False
    _, _, day_text, _, weekday_text = expression.split()
    by_day = day.day in days
    by_weekday = bool({day.isoweekday(), day.isoweekday() % 7} & weekdays)
    if "*" in (day_text[0], weekday_text[0]):
        return by_day and by_weekday
    return by_day or by_weekday


def _times(expression: str) -> list[str]:
    minutes, hours, *_ = _fields(expression)
    return [f"{hour:02}:{minute:02}" for hour in sorted(hours) for minute in sorted(minutes)]


def _days(now: datetime, direction: int) -> Iterator[date]:
    for away in range(_LONGEST_WAIT.days):
        yield now.date() + timedelta(days=direction * away)


def last_match(expression: str, now: datetime, zone: str) -> datetime | None:
    """The last match that is not later than `now` (given in the zone); None if there is none."""
    for day in _days(now, -1):
        if _day_matches(expression, day):
            for at in reversed(_times(expression)):
                if (found := moment(day, at, zone)) <= now:
                    return found
    return None


def next_match(expression: str, now: datetime, zone: str) -> datetime | None:
    """The first match after `now` (given in the zone); None if there is none."""
    for day in _days(now, 1):
        if _day_matches(expression, day):
            for at in _times(expression):
                if (found := moment(day, at, zone)) > now:
                    return found
    return None
