"""Measures forecasts on public traces: how far off, how often the bound holds, what acting on them
does. Part of `python -m tests.bench scaling`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellwerk.scaling.forecast.backtest import TRAINING_DAYS, of_next_day, of_patterns
from stellwerk.scaling.forecast.load import Load, load_of
from stellwerk.scaling.forecast.predictor import Predictor
from stellwerk.scaling.model import Policy
from stellwerk.scaling.simulation import Capacity, replay
from stellwerk.scaling.trace import Trace, read_trace
from stellwerk.settings.scaling import Predictive
from stellwerk.settings.scaling_policy import Rule, ServicePolicy, Target
from tests.bench.table import Figure

_TRACES: Final = Path(__file__).parents[2] / "../shared/traces"
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_SHARE: Final = 0.7  # of its CPU that an instance is to use
_MOST: Final = 16
_INTERVAL: Final = 300.0
_SIMULATED_DAYS: Final = 42


@dataclass(frozen=True)
class _Public:
    name: str
    file: str
    most_error: float  # percent, a day ahead
    step_minutes: int


_PUBLIC: Final = (
    _Public("taxi", "nab_nyc_taxi.csv", 7.9, 30),
    _Public("World Cup", "worldcup98_5min.csv", 49.5, 15),
)
_POLICIES: Final = {
    "thresholds": ServicePolicy(
        cpu_percent=Rule(up_above=100 * _SHARE, down_below=30), cooldown_down_seconds=600
    ),
    "target": ServicePolicy(
        targets={"cpu_percent": Target(value=100 * _SHARE)}, cooldown_down_seconds=600
    ),
}


def accuracy() -> Iterator[Figure]:
    """Errors and coverage, after three weeks that are learned from only."""
    for public, trace in _traces():
        day = of_next_day(Predictive(), _load(trace, _HOUR))
        if day:
            most = f"at most {public.most_error} %"
            yield Figure(f"{public.name}: error of the next day", _percent(day.quality.error), most)
            held = _percent(day.quality.coverage)
            yield Figure(f"{public.name}: its 90 % bound held", held, "85-95 %")
        load = _load(trace, 60 * public.step_minutes)
        for one in of_patterns(Predictive(), load):
            what = f"{public.name}: error of {one.name}"
            as_now = f"{_percent(one.quality.error_as_now)} if it stayed as it is"
            yield Figure(what, _percent(one.quality.error), as_now)
            held = _percent(one.quality.coverage)
            yield Figure(f"{public.name}: its bound held", held, "85-95 %")
            yield Figure(f"{public.name}: acted on", _percent(one.acted_on), "-")


def acting() -> Iterator[Figure]:
    """Six weeks after three that are learned from only."""
    for public, trace in _traces():
        load = _load(trace, 60 * public.step_minutes)
        for name, rules in _POLICIES.items():
            yield from _acted(
                f"{public.name}, {name}", Policy("bench", 1, _MOST, rules), trace, load
            )


def _acted(what: str, policy: Policy, trace: Trace, load: Load) -> Iterator[Figure]:
    capacity = Capacity(trace.peak / _MOST / _SHARE, start_seconds=900)
    predictor = Predictor(
        Predictive(),
        load,
        per_instance=capacity.rate * _SHARE,
        start_seconds=capacity.start_seconds,
    )
    begin = trace.start + TRAINING_DAYS * _DAY
    part = trace.between(begin, begin + _SIMULATED_DAYS * _DAY)
    alone = replay(policy, part, capacity, interval=_INTERVAL)
    both = replay(policy, part, capacity, interval=_INTERVAL, predict=predictor.at)
    yield Figure(
        f"{what}: under capacity",
        f"{both.minutes_under_capacity:.0f} min",
        f"at most {alone.minutes_under_capacity:.0f} min, the rules alone",
    )
    more = both.instance_hours / alone.instance_hours - 1
    yield Figure(f"{what}: instance hours", f"{100 * more:+.1f} %", "-")


def speed() -> Iterator[Figure]:
    """What the scaler spends on a service after a restart."""
    for public, trace in _traces():
        load = _load(trace.between(trace.end - 60 * _DAY, trace.end), 900)
        began = time.process_time()
        Predictor(Predictive(), load, per_instance=1.0, start_seconds=60).outlooks(trace.end)
        spent = time.process_time() - began
        yield Figure(f"{public.name}: all forecasts that still count", f"{spent:.1f} s CPU", "-")


def _traces() -> Iterator[tuple[_Public, Trace]]:
    for public in _PUBLIC:
        path = _TRACES / public.file
        if path.exists():
            yield public, read_trace(path)


def _load(trace: Trace, step: float) -> Load:
    return load_of(trace.samples(), step, trace.end + trace.step)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
