"""From a load's forecasts to the number of instances they ask for, ahead of the need."""

import math
from dataclasses import dataclass

from stellwerk.scaling.forecast.gate import Gate, gate
from stellwerk.scaling.forecast.load import DAY_SECONDS, Load
from stellwerk.scaling.forecast.members import DAYS_OF_WEEK
from stellwerk.scaling.forecast.rolling import Forecast, Reach, Rolling
from stellwerk.scaling.model import Prediction
from stellwerk.settings.scaling import Predictive

_MINUTE = 60


@dataclass(frozen=True)
class Outlook:
    """The newest forecast, if there is one, and whether it may be acted on."""

    forecast: Forecast | None
    gate: Gate


class Predictor:
    """Says what a load's forecasts ask for. `per_instance` is the load one instance is to have,
    `start_seconds` what it takes to start. Moments are asked for in rising order, and nothing is
    used of the load from a moment on.
    """

    def __init__(
        self, settings: Predictive, load: Load, *, per_instance: float, start_seconds: float
    ) -> None:
        self._settings, self._load = settings, load
        self._per_instance = per_instance
        self._lead = settings.prescale.lead_minutes * _MINUTE + start_seconds
        self._rolling = Rolling(load, reach_of(settings, load), settings.prescale.bound)
        self._refresh = max(1, round(settings.refresh_minutes * _MINUTE / load.step))
        self._outlook = Outlook(None, Gate(0, "there is no forecast yet"))
        self._next_origin = 0
        self.gates: list[Gate] = []

    def at(self, moment: float) -> Prediction | None:
        """What is asked for at a moment; None where forecasts are not to be acted on."""
        self._renew(self._load.steps_until(moment))
        forecast, of = self._outlook.forecast, self._outlook.gate
        if forecast is None or forecast.bound is None or not of.is_open:
            return None
        begin = self._load.start + forecast.origin * self._load.step
        first = int((moment - begin) // self._load.step)
        last = int((moment + self._lead - begin) // self._load.step)
        bounds = forecast.bound[first : min(last + 1, of.steps)]
        if not len(bounds):
            return None
        highest = float(bounds.max())
        count = math.ceil(highest / self._per_instance - 1e-9)
        percent = 100 * self._settings.prescale.bound
        reason = (
            f"what the forecast's {percent:g} % bound of {highest:.4g} within"
            f" {self._lead / _MINUTE:.0f} min takes ({of.reason})"
        )
        return Prediction(count, reason)

    def _renew(self, origin: int) -> None:
        if origin < self._next_origin:
            return
        self._next_origin = origin + self._refresh
        forecast = self._rolling.forecast(origin)
        if forecast is None:
            return
        reach = self._rolling.reach
        of = gate(
            self._settings,
            self._rolling.quality(origin, reach.daily_ahead),
            self._rolling.quality(origin),
            near_steps=reach.daily_ahead,
            far_steps=reach.ahead,
        )
        self._outlook = Outlook(forecast, of)
        self.gates.append(of)


def reach_of(settings: Predictive, load: Load) -> Reach:
    """How far forecasters look, by the settings."""
    daily = max(1, int(settings.daily.ahead_minutes * _MINUTE // load.step))
    weekly = max(1, int(settings.weekly.ahead_minutes * _MINUTE // load.step))
    day = round(DAY_SECONDS / load.step)
    return Reach(
        ahead=max(daily, weekly),
        daily_ahead=daily,
        daily_history=settings.daily.history_days * day,
        weekly_history=settings.weekly.history_weeks * DAYS_OF_WEEK * day,
    )
