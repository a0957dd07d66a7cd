"""When windows and business events are open, and what minimum they make."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk.scaling.policies import policies
from stellwerk.scaling.schedule import (
    cron_window_is_open,
    event_is_on,
    floor_at,
    window_is_open,
)
from stellwerk.settings.cluster import load_cluster
from stellwerk.settings.scaling import (
    BusinessEvent,
    CronWindow,
    Schedule,
    Season,
    Window,
)
from tests.unit.scaling.services import policy

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
REPOSITORY = Path(__file__).parents[3]


def window(start: str, end: str, days: list[str] | None = None) -> Window:
    return Window.model_validate(
        {"days": days or EVERY_DAY, "start": start, "end": end, "minimum_factor": 1}
    )


def is_open(of: Window, now: datetime) -> bool:
    return window_is_open(of, now.astimezone(BERLIN), "Europe/Berlin")


def test_a_window_opens_at_its_start_and_is_closed_at_its_end() -> None:
    noon = window("12:00", "13:00")
    day = datetime(2026, 6, 1, tzinfo=BERLIN)
    assert not is_open(noon, day.replace(hour=11, minute=59, second=59))
    assert is_open(noon, day.replace(hour=12))
    assert not is_open(noon, day.replace(hour=13))


def test_a_window_over_midnight_belongs_to_the_day_it_began_on() -> None:
    night = window("22:00", "06:00", ["fri"])
    assert is_open(night, datetime(2026, 6, 6, 5, 59, tzinfo=BERLIN))
    assert not is_open(night, datetime(2026, 6, 7, 5, 59, tzinfo=BERLIN))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_whole_day_is_open_for_all_its_hours_when_clocks_are_set(day: str, hours: int) -> None:
    whole = window("00:00", "24:00", ["sun"])
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(UTC)
    opened = [is_open(whole, start + timedelta(minutes=minute)) for minute in range(-60, 27 * 60)]
    assert sum(opened) == hours * 60


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 8), ("2026-10-25", 8)])
def test_business_hours_are_wall_clock_hours_when_clocks_are_set(day: str, hours: int) -> None:
    working = window("09:00", "17:00")
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    opened = [start.replace(hour=hour, minute=30) for hour in range(24)]
    assert sum(is_open(working, one) for one in opened) == hours


def test_a_start_that_is_skipped_is_the_moment_clocks_are_set() -> None:
    early = window("02:30", "06:00")
    set_at = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert is_open(early, set_at)
    assert not is_open(early, set_at - timedelta(minutes=1))


def test_a_time_that_comes_twice_begins_with_the_first_and_ends_with_the_last() -> None:
    twice = window("02:15", "02:45")
    start = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)
    opened = [is_open(twice, start + timedelta(minutes=minute)) for minute in range(-30, 180)]
    assert sum(opened) == 90
    assert opened == [False] * 30 + [True] * 90 + [False] * 90


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    hours=st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda one: one[0] != one[1]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Etc/UTC"]),
)
def test_a_window_and_the_rest_of_the_day_share_every_moment(
    at: datetime, hours: tuple[int, int], zone: str
) -> None:
    start, end = (f"{hour:02}:00" for hour in hours)
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    either = [window_is_open(window(*ends), local, zone) for ends in ((start, end), (end, start))]
    assert any(either)


def test_start_equal_to_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="an end other than the start"):
        window("08:00", "08:00")
    with pytest.raises(ValidationError, match="an end other than the start"):
        CronWindow(start="0 8 * * *", end="0 8 * * *", minimum_factor=1)


def test_a_cron_window_may_be_the_last_day_of_a_quarter() -> None:
    quarter = CronWindow(start="0 6 31 mar,dec *", duration_minutes=60, minimum_factor=2)
    assert cron_window_is_open(quarter, datetime(2026, 3, 31, 6, 30, tzinfo=UTC), "Etc/UTC")
    assert not cron_window_is_open(quarter, datetime(2026, 3, 30, 6, 30, tzinfo=UTC), "Etc/UTC")


def test_an_event_is_on_in_its_seasons_also_over_new_year() -> None:
    event = BusinessEvent(
        timezone="Europe/Berlin",
        days=["mon", "tue", "wed", "thu", "fri"],
        seasons=[Season(first="12-20", last="01-05")],
        services=["shop"],
        minimum_factor=2,
    )
    assert event_is_on(event, datetime(2026, 12, 31, 12, tzinfo=UTC), "shop")
    assert event_is_on(event, datetime(2026, 1, 5, 12, tzinfo=UTC), "shop")
    assert not event_is_on(event, datetime(2026, 1, 6, 12, tzinfo=UTC), "shop")
    assert not event_is_on(event, datetime(2026, 12, 31, 12, tzinfo=UTC), "till")


@pytest.mark.parametrize(
    ("at", "on"),
    [
        ("2026-03-02 08:44", False),
        ("2026-03-02 08:45", True),
        ("2026-03-02 09:04", True),
        ("2026-03-02 09:05", False),
        ("2026-03-29 08:45", False),  # a Sunday
        ("2026-03-30 08:45", True),  # the day after clocks are set
    ],
)
def test_instances_for_an_event_come_by_a_lead_before_it(at: str, on: bool) -> None:
    event = BusinessEvent(
        timezone="Europe/Berlin", days=["mon"], start="09:00", end="09:05", minimum_factor=2
    )
    of = replace(policy(2), events={"opening": event}, event_lead_seconds=900)
    now = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    assert (floor_at(of, now, frozenset()).instances == 4) == on


def test_the_lead_of_an_event_may_begin_on_the_day_before() -> None:
    event = BusinessEvent(days=["mon"], minimum_factor=2)
    of = replace(policy(2), events={"monday": event}, event_lead_seconds=900)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    floors = [
        floor_at(of, midnight + timedelta(minutes=minute), frozenset()).instances
        for minute in (-16, -15, 0, 1439, 1440)
    ]
    assert floors == [2, 4, 4, 4, 2]


def test_the_last_day_of_a_season_is_whole_though_the_next_is_none() -> None:
    event = BusinessEvent(
        days=["thu", "fri"], seasons=[Season(first="02-01", last="02-05")], minimum_factor=2
    )
    of = replace(policy(2), events={"season": event}, event_lead_seconds=900)
    midnight = datetime(2026, 2, 6, tzinfo=UTC)  # a Friday
    assert floor_at(of, midnight - timedelta(minutes=1), frozenset()).instances == 4
    assert floor_at(of, midnight, frozenset()).instances == 2


def test_the_largest_of_several_open_windows_counts() -> None:
    schedule = Schedule(
        windows={
            "day": Window(days=["wed"], start="08:00", end="18:00", minimum_factor=2),
            "noon": Window(days=["wed"], start="12:00", end="13:00", minimum_factor=3),
        }
    )
    of = replace(policy(2, 20), schedule=schedule)
    noon = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    assert floor_at(of, noon, frozenset()).instances == 6
    assert floor_at(of, noon + timedelta(hours=2), frozenset()).instances == 4


@pytest.mark.parametrize(
    ("at", "core", "broker"),
    [
        ("2026-06-03 12:00", 2, 1),  # a Wednesday at noon
        ("2026-06-03 08:44", 2, 1),
        ("2026-06-03 08:45", 3, 2),  # a quarter of an hour before the market opens
        ("2026-06-03 09:00", 3, 2),
        ("2026-06-03 22:00", 1, 1),  # off hours
        ("2026-06-06 12:00", 1, 1),  # a Saturday
        ("2026-07-15 12:00", 3, 2),  # earnings season
        ("2026-07-18 12:00", 1, 1),  # a Saturday in it
    ],
)
def test_the_shipped_schedule_makes_the_minimum(at: str, core: int, broker: int) -> None:
    cluster = load_cluster(
        REPOSITORY / "inventory", [REPOSITORY / "group_data"], generate_secrets=False
    )
    shipped = policies(cluster.host("db-1").settings)
    now = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    floors = {name: floor_at(of, now, frozenset()).instances for name, of in shipped.items()}
    assert floors["aktienanalyse-core"] == core
    assert floors["aktienanalyse-broker"] == broker
