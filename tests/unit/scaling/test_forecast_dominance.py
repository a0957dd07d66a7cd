"""What acting on max(rules, forecast) guarantees, whatever the forecast says."""

from dataclasses import replace
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.scaling.decide import decide
from stellwerk.scaling.forecast.load import load_of
from stellwerk.scaling.forecast.predictor import Predictor
from stellwerk.scaling.model import Observations, Policy, Prediction, State
from stellwerk.scaling.simulation import Capacity, replay
from stellwerk.scaling.trace import Trace
from stellwerk.settings.scaling import DailyPattern, Predictive
from tests.unit.scaling.loads import MONDAY, at, samples
from tests.unit.scaling.services import NOW, observed, policy
from tests.unit.scaling.test_decide_properties import observations, rules, states

MINUTES = 60
TEN = Capacity(10.0, start_seconds=0)
AT_ONCE = policy(1, 8, evaluation_period_seconds=60, warm_up_seconds=0, regret_seconds=0)
"""Judges by the newest value and never rests, so that only the load makes the number."""


@given(rules(), observations(), states(), st.integers(0, 40))
def test_a_forecast_adds_to_each_decision_up_to_the_maximum(
    of: Policy, seen: Observations, state: State, count: int
) -> None:
    predicted = replace(seen, prediction=Prediction(count, "a forecast"))
    alone, both = decide(of, seen, state, NOW), decide(of, predicted, state, NOW)
    assert alone.desired <= both.desired <= max(of.maximum, alone.desired)


@settings(max_examples=60, deadline=None)
@given(
    rates=st.lists(st.floats(0, 80), min_size=10, max_size=MINUTES),
    counts=st.lists(st.none() | st.integers(0, 10), min_size=MINUTES, max_size=MINUTES),
)
def test_no_forecast_makes_any_minute_worse_than_the_rules_alone(
    rates: list[float], counts: list[int | None]
) -> None:
    """However wrong, and however often it changes its mind."""
    load = Trace("made", MONDAY, 60, tuple(rates))

    def predict(moment: float) -> Prediction | None:
        count = counts[int((moment - MONDAY) // 60)]
        return None if count is None else Prediction(count, "a forecast")

    alone = replay(AT_ONCE, load, TEN)
    both = replay(AT_ONCE, load, TEN, predict=predict)
    assert both.minutes_under_capacity <= alone.minutes_under_capacity
    pairs = zip(both.moments, alone.moments, strict=True)
    assert all(one.serving >= other.serving for one, other in pairs)


def test_what_a_forecast_asked_for_is_let_go_only_after_the_stabilization() -> None:
    of = policy(1, 8, stabilization_down_seconds=300)
    asking = replace(observed(20, 6), prediction=Prediction(6, "a forecast"))
    state = decide(of, asking, State(), NOW).state
    counts = []
    for minute in range(1, 8):
        now = NOW.fromtimestamp(NOW.timestamp() + 60 * minute, NOW.tzinfo)
        decision = decide(of, observed(20, 6, now=now), state, now)
        state = decision.state
        counts.append(decision.desired)
        if decision.desired < 6:
            break
    assert counts == [6, 6, 6, 6, 5]


def test_a_steep_rise_of_every_morning_finds_its_instances_running() -> None:
    """They take ten minutes to start, and rules add them one by one."""
    load = Trace("made", MONDAY, 60, tuple(v for _, v in samples(23, steep, every=60)))
    history = load_of(load.samples(), 900, load.end)
    few = Predictive(refresh_minutes=240, daily=DailyPattern(ahead_minutes=240))
    of = Predictor(few, history, per_instance=7.0, start_seconds=600)
    last = load.between(at(21), at(23))
    slow = Capacity(10.0, start_seconds=600)
    rested = policy(1, 8, cooldown_up_seconds=300, cooldown_down_seconds=600)
    alone = replay(rested, last, slow)
    both = replay(rested, last, slow, predict=of.at)
    assert alone.minutes_under_capacity > 2 * 30
    assert both.minutes_under_capacity == 0
    assert both.instance_hours < 2 * alone.instance_hours


def steep(now: datetime) -> float:
    return 50.0 if 9 <= now.hour < 12 else 5.0
