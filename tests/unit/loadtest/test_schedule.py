"""When requests are meant to start."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.loadtest.plan import Plan, Request, Target
from stellwerk.loadtest.schedule import Schedule


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    duration = draw(st.floats(min_value=0.1, max_value=50))
    ramp_up = draw(st.floats(min_value=0, max_value=1)) * duration
    return Schedule(draw(st.floats(min_value=0.5, max_value=50)), duration, ramp_up)


@settings(deadline=None)
@given(schedules())
def test_requests_start_in_order_and_within_the_duration(schedule: Schedule) -> None:
    starts = [schedule.start_of(number) for number in range(schedule.total)]
    assert starts == sorted(starts)
    assert all(0 <= start <= schedule.duration + 1e-5 for start in starts)


@settings(deadline=None)
@given(schedules())
def test_the_request_after_the_last_would_start_after_the_end(schedule: Schedule) -> None:
    assert schedule.start_of(schedule.total) >= schedule.duration - 1e-4


def test_after_the_ramp_up_requests_are_evenly_spaced() -> None:
    schedule = Schedule(requests_per_second=100, duration=10, ramp_up=2)
    first = schedule.before(2)
    gaps = [schedule.start_of(n + 1) - schedule.start_of(n) for n in range(first, first + 50)]
    assert gaps == pytest.approx([0.01] * 50)


@pytest.mark.parametrize(
    ("schedule", "total"),
    [
        (Schedule(100, 600, 120), 54_000),  # half the rate during the ramp-up
        (Schedule(0.1, 30), 3),
        (Schedule(200, 20), 4000),
        (Schedule(1000, 900, 180), 810_000),
    ],
)
def test_the_number_of_requests_is_the_area_under_the_rate(schedule: Schedule, total: int) -> None:
    assert schedule.total == total


def test_a_scaled_scenario_keeps_its_rate() -> None:
    assert Schedule(100, 600, 120).scaled(0.1) == Schedule(100, 60, 12)


def test_the_parts_of_the_workers_are_the_whole_plan() -> None:
    plan = Plan(Target("host", 80), Schedule(10, 1), users=5, requests=(Request("GET /", "/"),))
    parts = [plan.part(number, of=3) for number in range(3)]
    assert sum(part.users for part in parts) == plan.users
    numbers = [n for part in parts for n in range(part.first, plan.schedule.total, part.step)]
    assert sorted(numbers) == list(range(plan.schedule.total))


def test_a_plan_survives_the_way_to_a_worker() -> None:
    plan = Plan(
        Target("host", 443, tls=True, address="::1", path="/a"),
        Schedule(10, 1.5, 0.5),
        users=5,
        requests=(Request("POST /", "/{id}", "POST", '{"a": 1}', {"X-Key": "v"}, 2.5),),
    )
    assert Plan.from_json(plan.to_json()) == plan
