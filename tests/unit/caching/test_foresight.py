"""Who is about to log in, and when a schedule loads its entries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.caching.foresight import WEEKS, expected, next_time
from stellwerk.settings.caching import WarmingSchedule

MONDAY = datetime(2026, 4, 13, 6, 45, tzinfo=UTC)
"""08:45 in Berlin; clocks there were set on 29 March."""
MORNING = timedelta(minutes=30)


def mondays(count: int, *, hour: int = 9) -> list[datetime]:
    """Log-ins at this hour in Berlin on the last so many Mondays."""
    return [
        datetime(2026, 4, 13, hour, tzinfo=UTC)
        - timedelta(weeks=week, hours=1 if week > 2 else 2)  # winter time before 29 March
        for week in range(1, count + 1)
    ]


def share(*log_ins: datetime, confidence: float = 0.7) -> float | None:
    """What speaks for a user with these log-ins."""
    found = expected(
        {"user": log_ins}, MONDAY, zone="Europe/Berlin", within=MORNING, confidence=confidence
    )
    return found.get("user")


def test_a_habit_is_expected_also_across_the_setting_of_clocks() -> None:
    assert share(*mondays(8)) == 1


def test_the_confidence_is_the_measured_share_of_weeks() -> None:
    seven_of_eight = [time for index, time in enumerate(mondays(8)) if index != 3]
    assert share(*seven_of_eight) == 7 / 8
    five_of_eight = [time for index, time in enumerate(mondays(8)) if index not in (1, 3, 5)]
    assert share(*five_of_eight) is None
    assert share(*five_of_eight, confidence=0.6) == 5 / 8


def test_of_a_new_user_nothing_is_said() -> None:
    assert share(*mondays(3)) is None
    assert share(*mondays(4)) == 1
    assert share() is None


def test_another_time_of_day_or_day_is_another_habit() -> None:
    assert share(*mondays(8, hour=11)) is None
    assert share(*(time + timedelta(days=1) for time in mondays(8))) is None


@given(st.sets(st.integers(1, WEEKS)))
def test_the_share_is_never_more_than_what_was(weeks: set[int]) -> None:
    times = [time for index, time in enumerate(mondays(8), start=1) if index in weeks]
    found = share(*times, confidence=0.01)
    if found is not None:
        assert found == len(weeks) / max(weeks)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (datetime(2026, 3, 27, 7, 29, tzinfo=UTC), datetime(2026, 3, 27, 7, 30, tzinfo=UTC)),
        (datetime(2026, 3, 27, 7, 30, tzinfo=UTC), datetime(2026, 3, 30, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_schedule_is_of_its_zone_and_days(now: datetime, then: datetime) -> None:
    schedule = WarmingSchedule(
        days=["mon", "tue", "wed", "thu", "fri"],
        at="08:30",
        timezone="Europe/Berlin",
        patterns=["market:*:price"],
    )
    assert next_time(schedule, now) == then
