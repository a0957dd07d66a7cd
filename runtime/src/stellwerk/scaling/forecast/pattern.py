"""The daily and the weekly pattern: what each speaks of, and when it is acted on. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from stellwerk.scaling.forecast.forecasters import DAILY, WEEKLY
from stellwerk.scaling.forecast.gate import Gate, gate
from stellwerk.scaling.forecast.load import DAYS_OF_WEEK, Load
from stellwerk.scaling.forecast.rolling import Rolling, Stretch
from stellwerk.settings.scaling import Predictive

_MINUTE: Final = 60


@dataclass(frozen=True)
class Pattern:
    """Forecasts of the minutes ahead from `first` to `last`, and what acting on them takes."""

    name: str
    first: int
    last: int
    rolling: Rolling
    confidence: float


def patterns(settings: Predictive, load: Load) -> Iterator[Pattern]:
    """The patterns of the settings, the nearest steps first.

    All forecasters together speak of the minutes of the daily pattern, and of those after them the
    ones that know of weeks.
    """
    near, far = settings.daily.ahead_minutes, settings.weekly.ahead_minutes
    stretch = Stretch(0, _steps(near, load), {**DAILY, **WEEKLY}, looks_back(settings, load))
    rolling = Rolling(load, stretch, settings.prescale.bound)
    yield Pattern("daily", 0, near, rolling, settings.daily.confidence)
    if _steps(far, load) > stretch.last:
        stretch = Stretch(stretch.last, _steps(far, load), WEEKLY, looks_back(settings, load))
        rolling = Rolling(load, stretch, settings.prescale.bound)
        yield Pattern("weekly", near, far, rolling, settings.weekly.confidence)


def gates(settings: Predictive, of: Iterable[Pattern], origin: int) -> list[Gate]:
    """Whether the forecasts of patterns, the nearest steps first, may be acted on, as far as is
    known at a step. None is where a nearer one is not: it would add instances for the end of each
    forecast only, and let them go with the next.
    """
    found: list[Gate] = []
    for one in of:
        if found and not found[-1].is_open:
            found.append(Gate(False, f"nearer forecasts are not acted on: {found[0].reason}"))
            continue
        opened = gate(
            settings.prescale,
            one.rolling.quality(origin),
            confidence=one.confidence,
            least_bounded=one.rolling.load.steps_of_day,
            forecast_only=settings.forecast_only,
        )
        found.append(opened)
    return found


def looks_back(settings: Predictive, load: Load) -> dict[str, int]:
    """How many steps each forecaster looks back. A week is the least that they can do with."""
    days = max(DAYS_OF_WEEK, settings.daily.history_days)
    weeks = settings.weekly.history_weeks
    return {
        **dict.fromkeys(DAILY, days * load.steps_of_day),
        **dict.fromkeys(WEEKLY, weeks * DAYS_OF_WEEK * load.steps_of_day),
    }


def steps_between(settings: Predictive, load: Load) -> int:
    """Steps between two forecasts."""
    return _steps(settings.refresh_minutes, load)


def _steps(minutes: int, load: Load) -> int:
    return max(1, round(minutes * _MINUTE / load.step))
