"""Whether forecasts may be acted on, by how good they have been. Pure."""

from dataclasses import dataclass

from stellwerk.scaling.forecast.rolling import Quality
from stellwerk.settings.scaling import Predictive

_WHOLE = 100.0


@dataclass(frozen=True)
class Gate:
    """How many steps ahead may be acted on, and why."""

    steps: int
    reason: str

    @property
    def is_open(self) -> bool:
        """Whether forecasts may be acted on at all."""
        return self.steps > 0


def gate(
    settings: Predictive,
    near: Quality | None,
    far: Quality | None,
    *,
    near_steps: int,
    far_steps: int,
) -> Gate:
    """The gate for a forecast whose first `near_steps` the daily pattern speaks of, and the others
    the weekly one alone. `near` and `far` say how good both have been in the last days.
    """
    if settings.forecast_only:
        return Gate(0, "the settings want forecasts only to be shown")
    wanted = max(settings.daily.confidence, settings.prescale.confidence)
    refusal = _refusal(settings, near, wanted)
    if refusal:
        return Gate(0, refusal)
    if _refusal(settings, far, settings.weekly.confidence):
        return Gate(near_steps, _praise(near))
    return Gate(far_steps, _praise(near))


def _refusal(settings: Predictive, quality: Quality | None, confidence: float) -> str:
    """Why forecasts of such quality are not acted on; empty where they are."""
    if quality is None or quality.coverage is None:
        return "too few forecasts are over to say how good they are"
    error, most = _WHOLE * quality.error, settings.prescale.max_error_percent
    if error > most:
        return f"the error of the last 7 days is {error:.1f} %, above {most:g} %"
    if quality.coverage < confidence:
        held = f"the bound held for {_WHOLE * quality.coverage:.0f} % of the last 7 days"
        return f"{held}, less than {_WHOLE * confidence:g} %"
    return ""


def _praise(quality: Quality | None) -> str:
    if quality is None or quality.coverage is None:
        return ""
    return (
        f"error {_WHOLE * quality.error:.1f} % and coverage {_WHOLE * quality.coverage:.0f} %"
        " in the last 7 days"
    )
