"""Forecasts made one after the other, weighted and bounded by the errors of those before. Pure.

Nothing is used before it is known: a forecast learns from the steps before it, and its errors count
once the last step it speaks of is over.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stellwerk.scaling.forecast.forecasters import Forecaster, Values
from stellwerk.scaling.forecast.load import DAY_SECONDS, DAYS_OF_WEEK, Load

QUALITY_DAYS: Final = 7
"""Days over which forecasts are judged, and weighted by their errors."""
BOUND_DAYS: Final = 14
"""Days whose errors make the bound, half of them at least."""
_LEAST_KNOWN: Final = 0.5
_LEAST_SHARE: Final = 0.01  # of the last week's mean
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Stretch:
    """Which steps from its origin on a forecast speaks of, from `first` to before `last`, which
    forecasters it is made of, and how many steps each of them looks back.
    """

    first: int
    last: int
    forecasters: Mapping[str, Forecaster]
    looks_back: Mapping[str, int]


@dataclass(frozen=True)
class Forecast:
    """The load of the steps of a stretch, and the bound it stays below with the probability asked
    for. `bound` is None while too few errors are known.
    """

    origin: int
    mean: Values
    bound: Values | None
    latest: float  # the load of the step before its origin
    parts: Mapping[str, Values]  # by forecaster
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Quality:
    """How good some forecasts were."""

    error: float  # sum of absolute errors by the sum of the load (WAPE)
    error_as_now: float  # the same, had the load been taken to stay as it was
    coverage: float | None  # share of the steps whose load was below its bound
    headroom: float | None  # sum of the bounds by the sum of the means
    bounded: int  # steps that had a bound
    forecasts: int


@dataclass(frozen=True)
class _Judged:
    """A forecast that is over, beside what was."""

    origin: int
    steps: int
    load: float
    missed: float
    missed_as_now: float
    missed_by: Sequence[float]  # in the order of the stretch's forecasters
    ratios: Sequence[float]
    covered: int
    mean: float
    bound: float | None


class _Ordered:
    """The ratios of forecasts in order. Few come and go from one time to the next."""

    def __init__(self) -> None:
        self._from: deque[_Judged] = deque()
        self._ratios: list[float] = []

    def of(self, judged: Sequence[_Judged]) -> Sequence[float]:
        """Those of some forecasts, which begin and end no earlier than the last time."""
        while self._from and self._from[0].origin < judged[0].origin:
            for ratio in self._from.popleft().ratios:
                del self._ratios[bisect_left(self._ratios, ratio)]
        newest = self._from[-1].origin if self._from else judged[0].origin - 1
        for one in judged[bisect_right(judged, newest, key=lambda one: one.origin) :]:
            self._from.append(one)
            for ratio in one.ratios:
                insort(self._ratios, ratio)
        return self._ratios


class Rolling:
    """Makes forecasts of one stretch of a load and remembers how they did."""

    def __init__(self, load: Load, stretch: Stretch, probability: float = 0.9) -> None:
        self.load, self.stretch = load, stretch
        self._probability = probability
        self._open: list[Forecast] = []
        self._judged: list[_Judged] = []
        self._ratios = _Ordered()

    def forecast(self, origin: int) -> Forecast:
        """The forecast from a step on, by the steps before it. Origins are asked for in rising
        order. Raises ValueError where these steps are too few.
        """
        if reason := lacking(self.load, origin):
            raise ValueError(reason)
        self._judge_until(origin)
        parts = self._parts(origin)
        weights = self._weights(origin)
        least = self._least(origin)
        mean = [
            max(least, sum(weights[name] * part[place] for name, part in parts.items()))
            for place in range(self.stretch.last - self.stretch.first)
        ]
        factor = self._factor(origin)
        bound = None if factor is None else [factor * value for value in mean]
        latest = self.load.learned[self.load.place_of(origin) - 1]
        made = Forecast(origin, mean, bound, latest, parts, weights)
        self._open.append(made)
        return made

    def quality(self, origin: int) -> Quality | None:
        """How good those of the last days were, as far as it is known at a step; None if there are
        none to judge.
        """
        self._judge_until(origin)
        return _quality(self._of_days(origin, QUALITY_DAYS))

    def overall(self, since: int = 0) -> Quality | None:
        """How good all were that began at a step or later and are over; None for none."""
        return _quality(self._since(since))

    def errors(self, since: int = 0) -> dict[str, float]:
        """The error (WAPE) of each forecaster in the same forecasts."""
        judged = self._since(since)
        load = max(sum(one.load for one in judged), _TINY)
        return {name: missed / load for name, missed in self._missed_by(judged).items()}

    def _parts(self, origin: int) -> dict[str, Values]:
        """What each forecaster says. When clocks are set back, places come twice: then nothing is
        learned from the hour in which they do.
        """
        first, last = origin + self.stretch.first, origin + self.stretch.last
        places = [self.load.place_of(step) for step in range(first, last)]
        end = min(self.load.place_of(origin), *places)
        ahead = max(places) + 1 - end
        day = self.load.steps_of_day
        parts = {}
        for name, forecaster in self.stretch.forecasters.items():
            history = self.load.learned[max(0, end - self.stretch.looks_back[name]) : end]
            said = forecaster(history, day, ahead)
            parts[name] = [said[place - end] for place in places]
        return parts

    def _least(self, origin: int) -> float:
        """A load below it is next to nothing: what it is by its forecast would say nothing."""
        end = self.load.place_of(origin)
        week = self.load.learned[max(0, end - DAYS_OF_WEEK * self.load.steps_of_day) : end]
        return _LEAST_SHARE * sum(week) / len(week)

    def _judge_until(self, now: int) -> None:
        over = [one for one in self._open if one.origin + self.stretch.last <= now]
        self._open = [one for one in self._open if one.origin + self.stretch.last > now]
        self._judged += [self._judgement(one) for one in over]

    def _judgement(self, made: Forecast) -> _Judged:
        begin = made.origin + self.stretch.first
        places = [n for n in range(len(made.mean)) if self.load.counts(begin + n)]
        actual = [self.load.values[begin + place] for place in places]
        mean = [made.mean[place] for place in places]
        bound = None if made.bound is None else [made.bound[place] for place in places]
        return _Judged(
            origin=made.origin,
            steps=len(places),
            load=sum(actual),
            missed=_missed(mean, actual),
            missed_as_now=_missed([made.latest] * len(actual), actual),
            missed_by=[
                _missed([part[place] for place in places], actual) for part in made.parts.values()
            ],
            ratios=[was / max(said, _TINY) for was, said in zip(actual, mean, strict=True)],
            covered=sum(map(float.__le__, actual, bound)) if bound else 0,
            mean=sum(mean),
            bound=None if bound is None else sum(bound),
        )

    def _since(self, origin: int) -> list[_Judged]:
        self._judge_until(len(self.load.values))
        return [one for one in self._judged if one.origin >= origin]

    def _of_days(self, now: int, days: int) -> list[_Judged]:
        """Those that spoke of steps in the last days, oldest first."""
        first = now - days * self.load.steps_of_day - self.stretch.last
        return self._judged[bisect_right(self._judged, first, key=lambda one: one.origin) :]

    def _missed_by(self, judged: Iterable[_Judged]) -> dict[str, float]:
        """By how much each forecaster was off in all."""
        columns = zip(*(one.missed_by for one in judged), strict=True)
        names = self.stretch.forecasters
        return dict.fromkeys(names, 0.0) | dict(zip(names, map(sum, columns), strict=False))

    def _weights(self, now: int) -> dict[str, float]:
        """By 1/error² of the last days; equal while there are none."""
        missed = self._missed_by(self._of_days(now, QUALITY_DAYS))
        raw = {name: 1 / max(amount, _TINY) ** 2 for name, amount in missed.items()}
        total = sum(raw.values())
        return {name: one / total for name, one in raw.items()}

    def _factor(self, now: int) -> float | None:
        """What the mean is multiplied by to lie above the load with the probability: a quantile of
        the ratios between both, corrected for their number (split conformal prediction).
        """
        recent = self._of_days(now, BOUND_DAYS)
        half = BOUND_DAYS * self.load.steps_of_day // 2
        if not recent or now - recent[0].origin < half:
            return None
        ratios = self._ratios.of(recent)
        place = math.ceil((len(ratios) + 1) * self._probability) - 1
        return ratios[place] if place < len(ratios) else None


def lacking(load: Load, origin: int) -> str:
    """Why nothing can be forecast from a step on; empty where it can."""
    week = DAYS_OF_WEEK * load.steps_of_day
    if min(origin, load.place_of(origin)) < week:
        hours = origin * load.step * 24 / DAY_SECONDS
        return f"there are {hours:.0f} h of history, and a forecast takes {DAYS_OF_WEEK} days"
    for days, name in ((DAYS_OF_WEEK, "week"), (1, "day")):
        known = load.known_share(origin - days * load.steps_of_day, origin)
        if known < _LEAST_KNOWN:
            return f"the load is known for only {100 * known:.0f} % of the last {name}"
    return ""


def _missed(said: Iterable[float], actual: Iterable[float]) -> float:
    return sum(abs(one - other) for one, other in zip(said, actual, strict=True))


def _quality(judged: Sequence[_Judged]) -> Quality | None:
    if not any(one.steps for one in judged):
        return None
    load = max(sum(one.load for one in judged), _TINY)
    bounded = [one for one in judged if one.bound is not None]
    steps = sum(one.steps for one in bounded)
    mean = max(sum(one.mean for one in bounded), _TINY)
    return Quality(
        error=sum(one.missed for one in judged) / load,
        error_as_now=sum(one.missed_as_now for one in judged) / load,
        coverage=sum(one.covered for one in bounded) / steps if steps else None,
        headroom=sum(one.bound or 0.0 for one in bounded) / mean if steps else None,
        bounded=steps,
        forecasts=len(judged),
    )
