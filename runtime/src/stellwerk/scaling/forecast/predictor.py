"""From a load's forecasts to the number of instances they ask for, ahead of the need. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stellwerk.scaling.forecast.gate import Gate
from stellwerk.scaling.forecast.load import DAYS_OF_WEEK, Load
from stellwerk.scaling.forecast.pattern import Pattern, gates, patterns, steps_between
from stellwerk.scaling.forecast.rolling import (
    BOUND_DAYS,
    QUALITY_DAYS,
    Forecast,
    lacking,
)
from stellwerk.scaling.model import Foresight, Prediction
from stellwerk.settings.scaling import Predictive

_MINUTE: Final = 60
_REMEMBERED_DAYS: Final = BOUND_DAYS + 2 * QUALITY_DAYS + 1
"""So long ago forecasts began on which the newest ones still depend: how often bounds held, by the
errors that made these, by the errors that weighted those, and the day that these spoke of.
"""


def history_days(settings: Predictive) -> int:
    """Days of a load on which forecasts depend; what is older makes no difference to them."""
    learned = max(settings.daily.history_days, DAYS_OF_WEEK * settings.weekly.history_weeks)
    return learned + _REMEMBERED_DAYS


@dataclass(frozen=True)
class Outlook:
    """The newest forecast of a pattern, and whether it may be acted on."""

    pattern: str
    begin: float  # of its first step, in seconds since 1970
    step: float
    forecast: Forecast
    gate: Gate


@dataclass(frozen=True)
class Horizon:
    """The newest forecasts of a load and what they ask for until there are newer ones. `lead` is in
    seconds; `unforeseen` says why no forecast is acted on, and is empty where one is.
    """

    outlooks: tuple[Outlook, ...]
    probability: float
    per_instance: float
    lead: float
    unforeseen: str = ""

    def at(self, moment: float) -> Prediction | None:
        """What is asked for at a moment; None where forecasts are not to be acted on."""
        return self._asked(moment, [one for one in self.outlooks if one.gate.is_open])

    def foresight(self, moment: float) -> Foresight:
        """What they say at a moment, also where they are not acted on."""
        if acted_on := self.at(moment):
            return Foresight(acted_on.instances, acted_on.reason, is_acted_on=True)
        shown = self._asked(moment, self.outlooks)
        reason = self.unforeseen or "the newest forecast does not reach so far"
        return Foresight(None if shown is None else shown.instances, reason)

    def _asked(self, moment: float, outlooks: Sequence[Outlook]) -> Prediction | None:
        asked = [(bound, one) for one in outlooks for bound in self._bounds(one, moment)]
        if not asked:
            return None
        highest, of = max(asked, key=lambda one: one[0])
        count = math.ceil(highest / self.per_instance - 1e-9)
        reason = (
            f"what the {of.pattern} forecast takes, whose {100 * self.probability:g} % bound"
            f" reaches {highest:.4g} within {self.lead / _MINUTE:.0f} min ({of.gate.reason})"
        )
        return Prediction(count, reason)

    def _bounds(self, of: Outlook, moment: float) -> list[float]:
        """The bounds of the steps that begin before the lead is over and end after the moment."""
        first = math.floor((moment - of.begin) / of.step)
        last = math.floor((moment + self.lead - of.begin) / of.step)
        return (of.forecast.bound or [])[max(0, first) : max(0, last + 1)]


class Predictor:
    """Says what a load's forecasts ask for. `per_instance` is the load one instance is to have at
    most, `start_seconds` what it takes to start.

    Moments are asked for in rising order; nothing of the load from a moment on is used for it. All
    follows from the load, so nothing has to be kept over a restart.
    """

    def __init__(
        self, settings: Predictive, load: Load, *, per_instance: float, start_seconds: float
    ) -> None:
        self._settings, self._load = settings, load
        self._per_instance = per_instance
        self._lead = max(float(settings.prescale.lead_minutes * _MINUTE), start_seconds)
        self._patterns = tuple(patterns(settings, load))
        self._next: int | None = None
        self._forecasts: tuple[Forecast, ...] = ()
        self._outlooks: tuple[Outlook, ...] = ()

    def unforeseen(self, moment: float) -> str:
        """Why no forecast is acted on at a moment, or none can be made; empty where one is."""
        if reason := lacking(self._load, self._load.over_at(moment)):
            return reason
        closed = [one.gate.reason for one in self.outlooks(moment) if not one.gate.is_open]
        return closed[0] if len(closed) == len(self._patterns) else ""

    def outlooks(self, moment: float) -> tuple[Outlook, ...]:
        """The newest forecasts at a moment, the nearest steps first; none if none can be made."""
        origins = list(self._origins(self._load.over_at(moment)))
        for origin in origins:
            ready = not lacking(self._load, origin)
            rolling = [one.rolling for one in self._patterns] if ready else []
            self._forecasts = tuple(one.forecast(origin) for one in rolling)
        if origins:
            opened = gates(self._settings, self._patterns, origins[-1])
            made = zip(self._patterns, self._forecasts, opened, strict=False)
            self._outlooks = tuple(self._outlook(*one) for one in made)
        return self._outlooks

    def at(self, moment: float) -> Prediction | None:
        """What is asked for at a moment; None where forecasts are not to be acted on."""
        return self._horizon(moment).at(moment)

    def horizon(self, moment: float) -> Horizon:
        """The newest forecasts at a moment, without the load that they were made of."""
        return replace(self._horizon(moment), unforeseen=self.unforeseen(moment))

    def _horizon(self, moment: float) -> Horizon:
        bound = self._settings.prescale.bound
        return Horizon(self.outlooks(moment), bound, self._per_instance, self._lead)

    def _origins(self, now: int) -> Iterator[int]:
        """The steps at which forecasts are due until now: the first time, all that still count.

        They are due at the same moments whenever that was, so that a restart changes nothing.
        """
        every = steps_between(self._settings, self._load)
        if self._next is None:
            first = max(0, now - _REMEMBERED_DAYS * self._load.steps_of_day)
            since_1970 = int(self._load.start // self._load.step)
            self._next = first + -(since_1970 + first) % every
        while self._next <= now:
            yield self._next
            self._next += every

    def _outlook(self, of: Pattern, made: Forecast, opened: Gate) -> Outlook:
        begin = self._load.start + (made.origin + of.rolling.stretch.first) * self._load.step
        return Outlook(of.name, begin, self._load.step, made, opened)
