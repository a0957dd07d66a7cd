"""How good forecasts are on public traces; skipped where these are not beside the checkout."""

from pathlib import Path
from typing import Final

import pytest

from stellwerk.scaling.forecast.backtest import of_next_day
from stellwerk.scaling.forecast.load import load_of
from stellwerk.scaling.forecast.predictor import Predictor
from stellwerk.scaling.model import Policy
from stellwerk.scaling.simulation import Capacity, replay
from stellwerk.scaling.trace import Trace, read_trace
from stellwerk.settings.scaling import Predictive
from stellwerk.settings.scaling_policy import Target
from tests.unit.scaling.loads import DAY, HOUR
from tests.unit.scaling.services import policy

TRACES: Final = Path(__file__).parents[3] / "../shared/traces"
TAXI, WORLD_CUP = "nab_nyc_taxi.csv", "worldcup98_5min.csv"

pytestmark = pytest.mark.skipif(
    not (TRACES / TAXI).exists(), reason="the traces are not beside this repository"
)


def trace(name: str) -> Trace:
    return read_trace(TRACES / name)


@pytest.mark.parametrize(("name", "most"), [(TAXI, 0.079), (WORLD_CUP, 0.495)])
def test_the_next_day_is_foreseen_within_the_error_asked_for(name: str, most: float) -> None:
    of = trace(name)
    verdict = of_next_day(Predictive(), load_of(of.samples(), HOUR, of.end + of.step))
    assert verdict
    assert verdict.quality.error <= most
    assert verdict.quality.coverage
    assert 0.85 <= verdict.quality.coverage <= 0.95


@pytest.mark.parametrize("name", [TAXI, WORLD_CUP])
@pytest.mark.parametrize(
    "of",
    [
        policy(1, 16, cooldown_up_seconds=300, cooldown_down_seconds=600),
        policy(1, 16, cpu_percent=None, targets={"cpu_percent": Target(value=70)}),
    ],
    ids=["thresholds", "target"],
)
def test_with_forecasts_no_more_minutes_are_under_capacity(name: str, of: Policy) -> None:
    """The fourth week, with instances that take a quarter of an hour to start."""
    whole = trace(name)
    load = load_of(whole.samples(), HOUR, whole.end + whole.step)
    part = whole.between(whole.start + 21 * DAY, whole.start + 28 * DAY)
    capacity = Capacity(part.peak / 16 / 0.7, start_seconds=900)
    settings = Predictive(step_minutes=60)
    predictor = Predictor(settings, load, per_instance=capacity.rate * 0.7, start_seconds=900)
    alone = replay(of, part, capacity, interval=300)
    both = replay(of, part, capacity, interval=300, predict=predictor.at)
    assert both.minutes_under_capacity <= alone.minutes_under_capacity


def test_forecasts_that_know_no_more_than_the_present_are_turned_off() -> None:
    """On World Cup, whose weeks do not repeat themselves."""
    of = trace(WORLD_CUP)
    load = load_of(of.samples(), HOUR, of.end + of.step)
    predictor = Predictor(Predictive(), load, per_instance=1.0, start_seconds=60)
    outlooks = predictor.outlooks(of.start + 70 * DAY)
    assert outlooks
    assert not outlooks[0].gate.is_open
