"""Which backtest is run: load and settings from options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

from stellwerk.scaling.forecast.backtest import TRAINING_DAYS, Verdict, of_next_day, of_patterns
from stellwerk.scaling.forecast.load import Load, history_of
from stellwerk.scaling.trace import Trace, TraceError, read_trace
from stellwerk.settings.root import Settings
from stellwerk.settings.scaling import Predictive, StepMinutes

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400.0
_STEPS: Final = tuple(_MINUTE * one for one in get_args(StepMinutes))


@dataclass(frozen=True)
class Run:
    """What was run."""

    trace: Trace
    load: Load
    verdicts: tuple[Verdict, ...]


def backtested(settings: Settings, service: str, path: Path, timezone: str | None = None) -> Run:
    """Forecast a trace all along. Its days are those of a time zone, by default the settings'.
    Raises TraceError where it cannot be used.
    """
    trace = read_trace(path)
    predictive = settings.scaling.predictive
    if timezone:
        predictive = predictive.model_copy(update={"timezone": _zone(timezone)})
    load = load_of_trace(predictive, trace, service)
    verdicts = of_patterns(predictive, load)
    next_day = of_next_day(predictive, load_of_trace(predictive, trace, service, _HOUR))
    if next_day is None or not verdicts:
        days = (trace.end - trace.start) / _DAY
        raise TraceError(
            f"{path}: lasts {days:.1f} days, and forecasts are judged after {TRAINING_DAYS}"
        )
    return Run(trace, load, (*verdicts, next_day))


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        raise TraceError(
            f'{name}: there is no such time zone; give one such as "Europe/Berlin"'
        ) from None


def load_of_trace(
    settings: Predictive, trace: Trace, service: str, step: float | None = None
) -> Load:
    """A trace as forecasts see it, in the settings' steps or, where its own are longer, in the next
    longer ones. Raises TraceError where there are no such steps.
    """
    least = max(step or settings.step_minutes * _MINUTE, trace.step)
    chosen = next((one for one in _STEPS if one >= least), None)
    if chosen is None:
        raise TraceError(
            f"{trace.name}: has a row every {trace.step / _MINUTE:g} min;"
            " a forecast takes one an hour"
        )
    return history_of(settings, service, trace.samples(), trace.end + trace.step, step=chosen)
