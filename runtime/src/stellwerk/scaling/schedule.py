"""Which windows of the schedule and which business events are open, and what minimum they make.
Pure.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from stellwerk.scaling.cron import last_match, next_match
from stellwerk.scaling.local_time import moment
from stellwerk.scaling.model import Policy
from stellwerk.settings.scaling import BusinessEvent, CronWindow, Season, Window
from stellwerk.settings.types import Weekday

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NO_TIME: Final = timedelta(0)


@dataclass(frozen=True)
class Floor:
    """The least number of instances at a moment, and what makes it so."""

    instances: int
    reason: str
    windows: frozenset[str] = frozenset()


def floor_at(policy: Policy, now: datetime, known_windows: frozenset[str]) -> Floor:
    """A service's minimum at a moment, within its maximum.

    `known_windows` were open at the judgement before: one that is not among them begins now.
    """
    floors = list(_scheduled(policy, now, known_windows))
    windows = frozenset(name for name, _, _ in floors)
    if not floors:
        factor = policy.schedule.minimum_factor_otherwise
        floors = [("", factor, "its minimum" if factor == 1 else "its minimum outside all windows")]
    floors += _eventful(policy, now)
    _, factor, reason = max(floors, key=lambda one: one[1])
    return Floor(_at_least_one(policy, factor), reason, windows)


def _at_least_one(policy: Policy, factor: float) -> int:
    """The minimum times a factor, rounded up. A service that may go to nothing still may."""
    count = math.ceil(policy.minimum * factor - 1e-9)
    return min(max(count, min(1, policy.minimum)), policy.maximum)


def _scheduled(
    policy: Policy, now: datetime, known: frozenset[str]
) -> Iterator[tuple[str, float, str]]:
    zone = policy.schedule.timezone
    local = now.astimezone(ZoneInfo(zone))
    for name, window in policy.schedule.windows.items():
        if window_is_open(window, local, zone):
            initial = window.initial_factor if name not in known else None
            factor = max(window.minimum_factor, initial or 0)
            yield name, factor, f"the minimum of window {name}"
    for name, times in policy.schedule.cron_windows.items():
        if cron_window_is_open(times, local, zone):
            yield name, times.minimum_factor, f"the minimum of window {name}"


def _eventful(policy: Policy, now: datetime) -> Iterator[tuple[str, float, str]]:
    lead = timedelta(seconds=policy.event_lead_seconds)
    for name, event in policy.events.items():
        if event_is_on(event, now, policy.service, lead):
            yield name, event.minimum_factor, f"the minimum of business event {name}"


def window_is_open(window: Window, local: datetime, zone: str) -> bool:
    """Whether a window is open at a moment, given in its zone. It opens at its start and is closed
    at its end.
    """
    return any(_open_days(tuple(window.days), window.start, window.end, local, zone))


def cron_window_is_open(window: CronWindow, local: datetime, zone: str) -> bool:
    """Whether a window of cron expressions is open at a moment, given in its zone."""
    return _cron_is_open(
        window.start,
        window.end,
        window.duration_minutes,
        local.replace(second=0, microsecond=0),
        zone,
    )


@lru_cache(maxsize=1024)
def _cron_is_open(
    start: str, end: str | None, minutes: int | None, local: datetime, zone: str
) -> bool:
    """Expressions match at whole minutes, so a minute is open or closed as a whole."""
    opened = last_match(start, local, zone)
    if opened is None:
        return False
    if end is None:
        return local < opened + timedelta(minutes=minutes or 0)
    closed = next_match(end, opened.astimezone(ZoneInfo(zone)), zone)
    return closed is None or local < closed


def event_is_on(
    event: BusinessEvent, now: datetime, service: str, lead: timedelta = NO_TIME
) -> bool:
    """Whether a business event concerns a service at a moment, or is to within a lead."""
    if event.services and service not in event.services:
        return False
    local = now.astimezone(ZoneInfo(event.timezone))
    days = _open_days(tuple(event.days), event.start, event.end, local, event.timezone, lead)
    return any(in_season(event, day) for day in days)


def in_season(event: BusinessEvent, day: date) -> bool:
    """Whether a day lies in one of an event's seasons, or it has none."""
    return not event.seasons or any(_covers(season, day) for season in event.seasons)


def _covers(season: Season, day: date) -> bool:
    text = f"{day:%m-%d}"
    if season.first <= season.last:
        return season.first <= text <= season.last
    return text >= season.first or text <= season.last  # over New Year


def _open_days(
    days: tuple[str, ...],
    start: str,
    end: str,
    local: datetime,
    zone: str,
    lead: timedelta = NO_TIME,
) -> Iterator[date]:
    """The days on which what is open now, or will be within a lead, begins."""
    first = (local + lead).date()
    for back in range((first - local.date()).days + 2):
        day = first - timedelta(days=back)
        if WEEKDAYS[day.weekday()] not in days:
            continue
        last_day = day if end > start else day + timedelta(days=1)
        if moment(day, start, zone) - lead <= local < moment(last_day, end, zone, last=True):
            yield day
