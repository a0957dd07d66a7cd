"""What forecasts ask for, and how long before it is needed."""

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from stellwerk.scaling.forecast.load import load_of
from stellwerk.scaling.forecast.predictor import Predictor
from stellwerk.settings.scaling import Predictive
from tests.unit.scaling.loads import HOUR, Samples, at, noisy, samples, working_hours

QUARTER = 900
FOUR_WEEKS = samples(29, noisy(working_hours, 0.05), every=QUARTER)
"""The last day is a Monday."""
FEW_FORECASTS: Mapping[str, Any] = {"refresh_minutes": 240, "daily": {"ahead_minutes": 240}}
HOURLY: Mapping[str, Any] = {"refresh_minutes": 60, "daily": {"ahead_minutes": 60}}


def predictor(
    given: Samples = FOUR_WEEKS,
    *,
    until: float = at(29),
    start_seconds: float = 60,
    **settings: Any,
) -> Predictor:
    """Of a service whose instances are to have 10. Few forecasts make the tests quick."""
    of = Predictive.model_validate({**FEW_FORECASTS, **settings})
    load = load_of(given, QUARTER, until)
    return Predictor(of, load, per_instance=10.0, start_seconds=start_seconds)


def asked(of: Predictor, moment: float) -> int:
    predicted = of.at(moment)
    return predicted.instances if predicted else 0


def test_instances_are_asked_for_a_quarter_of_an_hour_before_the_need() -> None:
    of = predictor()
    counts = {minute: asked(of, at(28, 8) + 60 * minute) for minute in range(30, 61, 5)}
    assert all(counts[minute] == 2 for minute in (30, 35, 40))
    assert all(counts[minute] >= 5 for minute in (45, 50, 55, 60))


def test_instances_that_start_slowly_are_asked_for_earlier() -> None:
    of = predictor(start_seconds=45 * 60)
    assert asked(of, at(28, 8) + 10 * 60) == 2
    assert asked(of, at(28, 8) + 15 * 60) >= 5


def test_what_is_asked_for_says_why() -> None:
    predicted = predictor().at(at(28, 8.75))
    assert predicted
    assert predicted.reason.startswith("what the daily forecast takes, whose 90 % bound reaches 5")
    assert "within 15 min (off by" in predicted.reason
    assert predictor().unforeseen(at(28, 8.75)) == ""


def test_the_need_is_asked_for_until_it_is_over() -> None:
    of = predictor()
    assert asked(of, at(28, 16.9)) >= 5
    assert asked(of, at(28, 17)) == 2


def test_forecasts_that_are_only_shown_ask_for_nothing() -> None:
    of = predictor(forecast_only=True)
    assert of.at(at(28, 8.75)) is None
    assert [one.gate.reason for one in of.outlooks(at(28, 8.75))] == [
        "the settings want forecasts only to be shown"
    ]
    assert of.unforeseen(at(28, 8.75)) == "the settings want forecasts only to be shown"


def test_far_steps_are_acted_on_only_where_near_ones_are() -> None:
    of = predictor(**HOURLY, prescale={"max_error_percent": 0.1})
    near, far = of.outlooks(at(28, 8))
    assert far.gate.reason == f"nearer forecasts are not acted on: {near.gate.reason}"
    assert near.gate.reason.endswith("above 0.1 %")


def test_forecasts_of_mere_chance_ask_for_nothing() -> None:
    chance = random.Random(1)
    load = samples(29, lambda _: chance.uniform(0, 100), every=QUARTER)
    of = predictor(load)
    assert of.at(at(28, 9)) is None
    assert not any(one.gate.is_open for one in of.outlooks(at(28, 9)))


def test_the_near_and_the_far_steps_follow_each_other() -> None:
    near, far = predictor(**HOURLY).outlooks(at(28, 8))
    assert (near.pattern, near.begin, len(near.forecast.mean)) == ("daily", at(28, 8), 4)
    assert (far.pattern, far.begin, len(far.forecast.mean)) == ("weekly", at(28, 9), 12)


def test_a_forecast_holds_until_the_next_is_due() -> None:
    of = predictor()
    first = of.outlooks(at(28, 8))
    assert of.outlooks(at(28, 11.99)) is first
    assert of.outlooks(at(28, 12))[0].forecast.origin == first[0].forecast.origin + 16


def test_some_hours_of_history_give_no_forecast_and_say_why() -> None:
    of = predictor(samples(0.25, working_hours, every=QUARTER), until=at(0.25))
    assert of.outlooks(at(0.25)) == ()
    assert of.at(at(0.25)) is None
    assert of.unforeseen(at(0.25)) == "there are 6 h of history, and a forecast takes 7 days"


def test_no_history_gives_no_forecast_and_says_why() -> None:
    of = predictor([], until=at(0))
    assert of.at(at(0)) is None
    assert "there are 0 h of history" in of.unforeseen(at(0))


def test_a_history_that_broke_off_gives_no_forecast_and_says_why() -> None:
    of = predictor(FOUR_WEEKS, until=at(31))
    assert of.at(at(28, 8.75)) is not None
    assert of.at(at(30, 9)) is None
    assert of.unforeseen(at(30, 9)) == "the load is known for only 0 % of the last day"


def test_after_a_restart_the_same_is_said() -> None:
    given = samples(50, noisy(working_hours, 0.3))
    first, second = (
        Predictor(
            Predictive(refresh_minutes=180),
            load_of(given, HOUR, at(50)),
            per_instance=10.0,
            start_seconds=60,
        )
        for _ in range(2)
    )
    for day in range(10, 49):
        first.outlooks(at(day, day % 7))
    moment = at(49, 8.7)
    assert second.outlooks(moment) == first.outlooks(moment)
    assert second.outlooks(moment)[0].gate.reason


@pytest.mark.parametrize("moment", [at(28, 8.75), at(28, 9.3), at(28, 16)])
def test_what_is_asked_for_does_not_follow_from_the_future(moment: float) -> None:
    past = [one for one in FOUR_WEEKS if one[0] < moment]
    future = [(when, 1e6) for when, _ in FOUR_WEEKS if when >= moment]
    known = predictor(past, until=moment)
    assert known.at(moment) == predictor(past + future).at(moment)


def test_patterns_may_be_of_one_length() -> None:
    assert [one.pattern for one in predictor().outlooks(at(28, 8))] == ["daily"]


def test_a_day_that_was_an_event_is_not_expected_again() -> None:
    def load_at(now: datetime) -> float:
        return 400.0 if now.day == 23 and now.month == 3 else working_hours(now)

    given = samples(29, noisy(load_at, 0.05), every=QUARTER)
    monday = (at(21), at(22))
    load = load_of(given, QUARTER, at(29), kept_out=lambda when: monday[0] <= when < monday[1])
    settings = Predictive.model_validate(FEW_FORECASTS)
    of = Predictor(settings, load, per_instance=10.0, start_seconds=60)
    assert 5 <= asked(of, at(28, 9)) <= 6
