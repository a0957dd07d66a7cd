"""How forecasts are weighted and bounded by the errors of those before, and by nothing later."""

import math
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.scaling.forecast.forecasters import DAILY, WEEKLY
from stellwerk.scaling.forecast.load import Load, load_of
from stellwerk.scaling.forecast.rolling import Rolling, Stretch
from tests.unit.scaling.loads import DAY, HOUR, MONDAY, Samples, at, noisy, samples, working_hours

EVERYTHING = {**DAILY, **WEEKLY}
BERLIN = "Europe/Berlin"


def hourly(given: Samples, days: float, zone: str = "Etc/UTC", start: float = MONDAY) -> Load:
    return load_of(given, HOUR, start + days * DAY, zone=zone)


def rolled(load: Load, until: int | None = None, ahead: int = 24, every: int = 24) -> Rolling:
    """Forecasts from the eighth day on, once a day or more often."""
    rolling = Rolling(load, Stretch(0, ahead, EVERYTHING, dict.fromkeys(EVERYTHING, 56 * 24)))
    for origin in range(7 * 24, (until or len(load.values)) + 1, every):
        rolling.forecast(origin)
    return rolling


def test_who_was_right_is_believed() -> None:
    rolling = rolled(hourly(samples(21, working_hours), 21))
    weights = rolling.forecast(21 * 24).weights
    assert weights["same as last week"] > 0.1 > 1e-6 > weights["same as yesterday"]
    assert sum(weights.values()) == pytest.approx(1)


def test_a_load_that_repeats_itself_is_foreseen_exactly() -> None:
    rolling = rolled(hourly(samples(30, working_hours), 30))
    quality = rolling.overall(21 * 24)
    assert quality
    assert quality.error < 0.001
    assert quality.coverage == 1
    assert quality.headroom == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_bound_holds_about_as_often_as_asked_for(share: float, seed: int) -> None:
    load = hourly(samples(63, noisy(working_hours, share, seed)), 63)
    quality = rolled(load).overall(21 * 24)
    assert quality
    assert quality.coverage
    assert 0.85 <= quality.coverage <= 0.95


def test_there_is_no_bound_before_a_week_of_errors() -> None:
    rolling = rolled(hourly(samples(21, noisy(working_hours, 0.1)), 21), until=13 * 24)
    assert rolling.forecast(14 * 24 - 1).bound is None
    assert rolling.forecast(15 * 24).bound is not None


def test_steps_that_are_not_known_are_neither_right_nor_wrong() -> None:
    whole = samples(30, noisy(working_hours, 0.1))
    holes = [(when, math.nan if n % 5 == 1 else value) for n, (when, value) in enumerate(whole)]
    quality = rolled(hourly(holes, 30)).quality(30 * 24)
    assert quality
    assert quality.bounded == pytest.approx(7 * 24 * 4 / 5, abs=1)


def test_a_service_without_any_load_is_forecast_to_have_none() -> None:
    rolling = rolled(hourly(samples(30, lambda _: 0.0), 30))
    made = rolling.forecast(30 * 24)
    assert max(made.mean) < 1e-6
    assert made.bound
    assert max(made.bound) < 1e-6
    quality = rolling.overall()
    assert quality
    assert quality.error == 0


def test_next_to_nothing_does_not_raise_the_bound_of_the_rest() -> None:
    """At night 0 or a little, by chance: no ratio can be made of it."""

    def load_at(now: datetime) -> float:
        return (0.01 if now.day % 3 else 0.0) if now.hour < 6 else 100.0

    made = rolled(hourly(samples(42, load_at), 42)).forecast(42 * 24)
    assert made.bound
    assert max(made.bound) < 130


@pytest.mark.parametrize(("hours", "said"), [(5, "5 h"), (167, "167 h")])
def test_some_hours_of_history_are_too_few(hours: int, said: str) -> None:
    load = hourly(samples(hours / 24, working_hours), hours / 24)
    with pytest.raises(ValueError, match=f"there are {said} of history, and a forecast takes 7"):
        rolled(load).forecast(hours)


def test_a_day_that_is_mostly_unknown_is_too_little() -> None:
    load = hourly(samples(20.25, working_hours), 21)
    with pytest.raises(ValueError, match="known for only 25 % of the last day"):
        rolled(load, until=20 * 24).forecast(21 * 24)


def test_a_week_that_is_mostly_unknown_is_too_little() -> None:
    days = [*samples(14, working_hours), *samples(1, working_hours, start=at(21))]
    with pytest.raises(ValueError, match="known for only 14 % of the last week"):
        rolled(hourly(days, 22), until=14 * 24).forecast(22 * 24)


@pytest.mark.parametrize("set_on", ["2026-03-29", "2026-10-25"])
def test_the_day_after_clocks_are_set_is_foreseen_at_the_hours_of_the_clock(set_on: str) -> None:
    start = datetime.fromisoformat(set_on + "T00:00+00:00").timestamp() - 27 * DAY
    given = samples(31, lambda now: working_hours(now, BERLIN), start=start)
    load = hourly(given, 31, BERLIN, start)
    rolling = rolled(load)
    set_at = 27 * 24
    for origin in (set_at - 12, set_at, set_at + 12, set_at + 24):
        made = Rolling(load, rolling.stretch).forecast(origin)
        week = made.parts["same as last week"]
        assert week == list(load.values[origin : origin + 24])


@settings(max_examples=25, deadline=None)
@given(
    origin=st.integers(26 * 24, 29 * 24),
    later=st.lists(st.floats(0, 1e6) | st.just(math.nan), min_size=96, max_size=96),
    zone=st.sampled_from(["Etc/UTC", BERLIN]),
    set_on=st.sampled_from(["2026-03-29", "2026-10-25"]),
    ahead=st.integers(1, 24),
)
def test_a_forecast_does_not_know_the_future(
    origin: int, later: list[float], zone: str, set_on: str, ahead: int
) -> None:
    """On the days about a change of clocks too, where an hour comes twice."""
    start = datetime.fromisoformat(set_on + "T00:00+00:00").timestamp() - 27 * DAY
    past = samples(33, noisy(working_hours, 0.3), start=start)[:origin]
    future = [(start + (origin + n) * HOUR, value) for n, value in enumerate(later)]
    knowing = rolled(hourly(past + future, 33, zone, start), origin, ahead, 12)
    ignorant = rolled(hourly(past, origin / 24, zone, start), origin, ahead, 12)
    assert knowing.forecast(origin) == ignorant.forecast(origin)
    assert knowing.quality(origin) == ignorant.quality(origin)
