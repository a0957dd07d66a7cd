"""Forecasts made one after the other, weighted and bounded by the errors of those before.

A forecast is judged only by what was known when it was made: errors count once the last moment
they speak of is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stellwerk.scaling.forecast.load import Load
from stellwerk.scaling.forecast.members import DAILY, WEEKLY, Values

_DAYS_OF_WEIGHTS: Final = 7
_DAYS_OF_BOUND: Final = 14
_TINY: Final = 1e-9
_LEAST_RATIOS: Final = 20
"""Fewer known errors say nothing of how far off the next one is."""


@dataclass(frozen=True)
class Reach:
    """How far forecasters look back and ahead, in steps. Those that know of days only speak of
    the first `daily_ahead` steps.
    """

    ahead: int
    daily_ahead: int
    daily_history: int
    weekly_history: int


@dataclass(frozen=True)
class Forecast:
    """The load of the steps from `origin` on, and the bound it stays below with the probability
    asked for. `bound` is None while too few errors are known.
    """

    origin: int
    mean: Values
    bound: Values | None
    members: Mapping[str, Values]
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Quality:
    """How good the forecasts of some days were."""

    error: float  # sum of absolute errors by the sum of the load (WAPE)
    coverage: float | None  # share of the steps whose load was below its bound
    forecasts: int


@dataclass(frozen=True)
class _Settled:
    """A forecast whose moments are over, beside what was."""

    made: Forecast
    actual: Values
    errors: Mapping[str, float]  # mean absolute, by member
    missed: Values
    ratios: Values
    covered: NDArray[np.bool_] | None


class Rolling:
    """Makes forecasts of one load and remembers how they did."""

    def __init__(self, load: Load, reach: Reach, probability: float = 0.9) -> None:
        self.load, self.reach = load, reach
        self._probability = probability
        self._open: list[Forecast] = []
        self._settled: list[_Settled] = []

    def forecast(self, origin: int) -> Forecast | None:
        """The forecast from a step on, by the steps before it; None where these are too few.

        Origins are asked for in rising order.
        """
        if origin < self.reach.daily_history:
            return None
        self._settle(origin)
        members = self._members(origin)
        weights = self._weights(origin)
        mean = self._blend(members, weights)
        factor = self._factor(origin)
        made = Forecast(origin, mean, None if factor is None else mean * factor, members, weights)
        self._open.append(made)
        return made

    def quality(self, origin: int, steps: int | None = None) -> Quality | None:
        """How good the first steps of those of the last seven days were, as far as is known at a
        step; None for none.
        """
        self._settle(origin)
        return _quality(self._last(origin, _DAYS_OF_WEIGHTS), steps)

    def overall(self, since: int = 0) -> Quality | None:
        """How good all were that began at a step or later and are over; None for none."""
        return _quality(self._since(since), None)

    def errors(self, since: int = 0) -> dict[str, float]:
        """The error (WAPE) of each forecaster over the forecasts that began at a step or later."""
        chosen = self._since(since)
        total = max(sum(float(one.actual.sum()) for one in chosen), _TINY)
        names = chosen[0].errors if chosen else ()
        return {
            name: sum(one.errors[name] * len(one.actual) for one in chosen) / total
            for name in names
        }

    def _members(self, origin: int) -> dict[str, Values]:
        reach, day = self.reach, self.load.steps_of_day
        kinds = ((DAILY, reach.daily_history), (WEEKLY, reach.weekly_history))
        return {
            name: np.maximum(
                member(self.load.learned[max(0, origin - back) : origin], day, reach.ahead), 0.0
            )
            for members, back in kinds
            for name, member in members.items()
        }

    def _blend(self, members: Mapping[str, Values], weights: Mapping[str, float]) -> Values:
        near = np.zeros(self.reach.ahead)
        far = np.zeros(self.reach.ahead)
        for name, values in members.items():
            near += weights[name] * values
            if name in WEEKLY:
                far += weights[name] * values
        far /= sum(weights[name] for name in WEEKLY)
        return np.where(np.arange(self.reach.ahead) < self.reach.daily_ahead, near, far)

    def _settle(self, now: int) -> None:
        """Judge what is over at a step."""
        over = [one for one in self._open if one.origin + self.reach.ahead <= now]
        self._open = [one for one in self._open if one.origin + self.reach.ahead > now]
        self._settled += [self._judged(one) for one in over]

    def _judged(self, made: Forecast) -> _Settled:
        # A step of which nothing is known counts as forecast.
        actual = self.load.values[made.origin : made.origin + self.reach.ahead]
        actual = np.where(np.isfinite(actual), actual, made.mean)
        return _Settled(
            made,
            actual,
            {name: float(np.abs(one - actual).mean()) for name, one in made.members.items()},
            np.abs(made.mean - actual),
            actual / np.maximum(made.mean, _TINY),
            None if made.bound is None else actual <= made.bound,
        )

    def _since(self, origin: int) -> list[_Settled]:
        self._settle(len(self.load.values))
        return [one for one in self._settled if one.made.origin >= origin]

    def _last(self, now: int, days: int) -> list[_Settled]:
        first = now - days * self.load.steps_of_day
        found = []
        for one in reversed(self._settled):
            if one.made.origin + self.reach.ahead <= first:
                break
            found.append(one)
        return found

    def _weights(self, now: int) -> dict[str, float]:
        """By 1/error² of the last days; equal while there are none."""
        recent = self._last(now, _DAYS_OF_WEIGHTS)
        names = [*DAILY, *WEEKLY]
        if not recent:
            return dict.fromkeys(names, 1 / len(names))
        errors = {name: sum(one.errors[name] for one in recent) / len(recent) for name in names}
        raw = {name: 1 / max(error, _TINY) ** 2 for name, error in errors.items()}
        total = sum(raw.values())
        return {name: weight / total for name, weight in raw.items()}

    def _factor(self, now: int) -> float | None:
        """By how much the mean is multiplied to be above what was, with the probability."""
        recent = [one.ratios for one in self._last(now, _DAYS_OF_BOUND)]
        ratios = np.concatenate(recent) if recent else np.empty(0)
        if len(ratios) < _LEAST_RATIOS:
            return None
        return float(np.quantile(ratios, self._probability, method="higher"))


def _quality(settled: Sequence[_Settled], steps: int | None) -> Quality | None:
    if not settled:
        return None
    load = sum(float(one.actual[:steps].sum()) for one in settled)
    missed = sum(float(one.missed[:steps].sum()) for one in settled)
    covered = [one.covered[:steps] for one in settled if one.covered is not None]
    coverage = float(np.concatenate(covered).mean()) if covered else None
    return Quality(missed / max(load, _TINY), coverage, len(settled))
