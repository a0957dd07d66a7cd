"""Made-up loads of services, as samples for forecasts."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = 3600
DAY = 24 * HOUR
MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
"""00:00 UTC; clocks are set in Berlin four weeks later."""

Samples = list[tuple[float, float]]


def samples(
    days: float, load: Callable[[datetime], float], *, every: float = HOUR, start: float = MONDAY
) -> Samples:
    """A load, as a function of the time (UTC), over some days."""
    return [(at, load(datetime.fromtimestamp(at, UTC))) for at in _moments(start, days, every)]


def _moments(start: float, days: float, every: float) -> Iterator[float]:
    return (start + number * every for number in range(int(days * DAY / every)))


def working_hours(now: datetime, zone: str = "Etc/UTC") -> float:
    """10, and 50 from 9 to 17 on working days."""
    local = now.astimezone(ZoneInfo(zone))
    return 50.0 if local.weekday() < 5 and 9 <= local.hour < 17 else 10.0


def noisy(load: Callable[[datetime], float], share: float, seed: int = 1) -> Callable[..., float]:
    """A load off by up to a share, the same with each run."""
    chance = random.Random(seed)
    return lambda now: load(now) * chance.uniform(1 - share, 1 + share)


def at(days: float = 0, hours: float = 0) -> float:
    """A moment so long after the Monday."""
    return MONDAY + timedelta(days=days, hours=hours).total_seconds()
