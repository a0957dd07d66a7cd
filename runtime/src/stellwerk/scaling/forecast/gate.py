"""Whether forecasts may be acted on, by how good they have been. Pure."""

from dataclasses import dataclass
from typing import Final

from stellwerk.scaling.forecast.rolling import QUALITY_DAYS, Quality
from stellwerk.settings.scaling import Prescale

_WHOLE: Final = 100.0


@dataclass(frozen=True)
class Gate:
    """Whether a forecast may be acted on, and what was measured that says so."""

    is_open: bool
    reason: str


def gate(
    prescale: Prescale,
    quality: Quality | None,
    *,
    confidence: float,
    least_bounded: int,
    forecast_only: bool = False,
) -> Gate:
    """The gate for forecasts that were as good as `quality` in the last days. `confidence` is what
    their pattern takes, `least_bounded` how many steps have to have had a bound.
    """
    if quality is None or quality.coverage is None or quality.bounded < least_bounded:
        return Gate(False, "too few forecasts are over to say how good they are")
    wanted = max(confidence, prescale.confidence)
    percent, held = _WHOLE * quality.error, _WHOLE * quality.coverage
    days = f"in the last {QUALITY_DAYS} days"
    if percent > prescale.max_error_percent:
        most = f"above {prescale.max_error_percent:g} %"
        return Gate(False, f"forecasts were off by {percent:.1f} % {days}, {most}")
    if quality.error >= quality.error_as_now:
        as_now = (
            f"no nearer than if the load stayed as it is ({_WHOLE * quality.error_as_now:.1f} %)"
        )
        return Gate(False, f"forecasts were off by {percent:.1f} % {days}, {as_now}")
    if quality.coverage < wanted:
        return Gate(
            False, f"the bound held for {held:.0f} % {days}, less than {_WHOLE * wanted:g} %"
        )
    if forecast_only:
        return Gate(False, "the settings want forecasts only to be shown")
    return Gate(True, f"off by {percent:.1f} %, bound held for {held:.0f} % {days}")
