"""How samples become the history that forecasts learn from."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from stellwerk.scaling.forecast.load import Load, history_of, load_of, on_event_days
from stellwerk.settings.scaling import BusinessEvent, Predictive
from tests.unit.scaling.loads import DAY, HOUR, MONDAY, Samples, at, samples, working_hours

BERLIN = "Europe/Berlin"


def hourly(given: Samples, until: float, zone: str = "Etc/UTC") -> Load:
    return load_of(given, HOUR, until, zone=zone)


def known(load: Load) -> list[float | None]:
    return [None if math.isnan(value) else value for value in load.values]


def test_a_step_is_the_mean_of_its_samples_in_any_order() -> None:
    given = [(MONDAY + 3600, 7.0), (MONDAY + 1800, 3.0), (MONDAY, 1.0)]
    assert known(hourly(given, MONDAY + 2 * HOUR)) == [2.0, 7.0]


def test_a_step_counts_only_once_it_is_over() -> None:
    given = [(MONDAY, 1.0), (MONDAY + HOUR, 2.0)]
    assert known(hourly(given, MONDAY + 2 * HOUR - 1)) == [1.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_load_is_unknown_and_not_zero(value: float) -> None:
    given = [(MONDAY, 1.0), (MONDAY + HOUR, value), (MONDAY + 2 * HOUR, 3.0)]
    assert known(hourly(given, MONDAY + 3 * HOUR)) == [1.0, None, 3.0]


def test_steps_since_the_last_sample_are_unknown() -> None:
    assert known(hourly([(MONDAY, 1.0)], MONDAY + 3 * HOUR)) == [1.0, None, None]


def test_no_samples_are_no_steps() -> None:
    assert known(hourly([], MONDAY)) == []


def test_a_step_is_a_part_of_a_day() -> None:
    with pytest.raises(ValueError, match="a step that divides a day, not 7000 s"):
        load_of([], 7000, MONDAY)


def test_a_gap_is_learned_as_the_week_before_and_not_judged() -> None:
    whole = samples(15, working_hours)
    gap = range(8 * 24, 9 * 24)
    load = hourly([one for n, one in enumerate(whole) if n not in gap], at(15))
    assert load.learned == hourly(whole, at(15)).learned
    assert not any(load.counts(number) for number in gap)
    assert load.known_share(gap.start, gap.stop) == 0
    assert load.known_share(gap.start - 24, gap.stop) == 0.5


def test_a_gap_of_the_first_days_is_learned_from_what_was_before_it() -> None:
    given = [(MONDAY, 4.0), (MONDAY + 2 * HOUR, 6.0), (MONDAY + 26 * HOUR, 8.0)]
    learned = hourly(given, MONDAY + 27 * HOUR).learned
    assert learned[1] == 4.0  # the step before
    assert learned[25] == learned[1]  # the day before
    assert learned[24] == 4.0


def test_days_of_an_event_are_neither_learned_nor_judged() -> None:
    sale = BusinessEvent(days=["wed"], minimum_factor=3)

    def load_at(now: datetime) -> float:
        return 500.0 if now.day == 11 else working_hours(now)

    kept_out = on_event_days([sale], "shop")
    load = load_of(samples(14, load_at), HOUR, at(14), kept_out=kept_out)
    assert max(load.learned) == 50
    assert not load.counts(9 * 24 + 12)
    assert load.known_share(9 * 24, 10 * 24) == 1


def test_the_history_of_a_service_is_as_the_settings_have_it() -> None:
    sale = BusinessEvent(days=["wed"], minimum_factor=3, services=["shop"])
    settings = Predictive(step_minutes=30, timezone=BERLIN, events={"sale": sale})
    given = samples(7, working_hours, every=900)
    shop, till = (history_of(settings, name, given, at(7)) for name in ("shop", "till"))
    assert (shop.step, shop.zone, len(shop.values)) == (1800, BERLIN, 7 * 48)
    assert shop.kept_out == set(range(2 * 48, 3 * 48))
    assert not till.kept_out


def test_days_of_an_event_that_is_in_the_history_are_learned() -> None:
    daily = BusinessEvent(days=["wed"], minimum_factor=3, in_history=True)
    other = BusinessEvent(days=["wed"], minimum_factor=3, services=["till"])
    kept_out = on_event_days([daily, other], "shop")
    assert not any(kept_out(at(2, hours)) for hours in range(24))


@pytest.mark.parametrize("set_on", ["2026-03-29", "2026-10-25"])
def test_a_habit_stays_at_its_hour_of_the_clock_when_clocks_are_set(set_on: str) -> None:
    monday = datetime.fromisoformat(set_on).replace(tzinfo=UTC).timestamp() - 13 * DAY
    given = samples(28, lambda now: working_hours(now, BERLIN), start=monday)
    load = hourly(given, monday + 28 * DAY, BERLIN)
    midnight = int(datetime.fromtimestamp(monday, ZoneInfo(BERLIN)).hour)
    weeks = [load.learned[24 * 7 * n - midnight : 24 * 7 * (n + 1) - midnight] for n in (1, 2, 3)]
    assert weeks[0] == weeks[1] == weeks[2]
    for number in range(len(load.values)):
        local = datetime.fromtimestamp(load.start + number * HOUR, ZoneInfo(BERLIN))
        assert (load.place_of(number) + midnight) % 24 == local.hour


def test_of_an_hour_that_comes_twice_the_first_is_learned() -> None:
    saturday = datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp()
    given = [(saturday + n * HOUR, float(n)) for n in range(6)]
    load = hourly(given, saturday + 6 * HOUR, BERLIN)
    # 00:00, 01:00, 02:00 twice, 03:00, 04:00
    assert load.learned == [0, 1, 2, 4, 5]


def test_an_hour_that_is_skipped_is_as_the_week_before() -> None:
    sunday = datetime(2026, 3, 28, 23, tzinfo=UTC).timestamp()
    before = [(sunday - 7 * DAY + n * HOUR, float(n)) for n in range(24 * 7)]
    after = [(sunday + n * HOUR, 900.0 + n) for n in range(3)]
    load = hourly(before + after, sunday + 3 * HOUR, BERLIN)
    # 00:00, 01:00, then 02:00 which is skipped, 03:00
    assert load.learned[-4:] == [900, 901, 2, 902]
