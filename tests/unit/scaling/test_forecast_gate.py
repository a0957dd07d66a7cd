"""When forecasts may be acted on."""

from dataclasses import replace

import pytest

from stellwerk.scaling.forecast.gate import Gate, gate
from stellwerk.scaling.forecast.rolling import Quality
from stellwerk.settings.scaling import Prescale

GOOD = Quality(
    error=0.08,
    error_as_now=0.2,
    coverage=0.9,
    headroom=1.1,
    bounded=700,
    forecasts=170,
)


def judged(quality: Quality | None, confidence: float = 0.8, *, only: bool = False) -> Gate:
    return gate(Prescale(), quality, confidence=confidence, least_bounded=96, forecast_only=only)


def test_good_forecasts_are_acted_on_and_say_how_good_they_were() -> None:
    assert judged(GOOD) == Gate(True, "off by 8.0 %, bound held for 90 % in the last 7 days")


@pytest.mark.parametrize("quality", [None, replace(GOOD, coverage=None), replace(GOOD, bounded=95)])
def test_forecasts_that_nothing_is_known_of_are_not(quality: Quality | None) -> None:
    assert judged(quality) == Gate(False, "too few forecasts are over to say how good they are")


def test_forecasts_that_are_far_off_are_not() -> None:
    told = judged(replace(GOOD, error=0.31, error_as_now=0.5))
    assert told == Gate(False, "forecasts were off by 31.0 % in the last 7 days, above 30 %")


def test_forecasts_that_say_no_more_than_the_present_load_are_not() -> None:
    told = judged(replace(GOOD, error_as_now=0.079))
    assert not told.is_open
    assert "no nearer than if the load stayed as it is (7.9 %)" in told.reason


@pytest.mark.parametrize(
    ("coverage", "confidence", "is_open"),
    [(0.80, 0.75, True), (0.79, 0.75, False), (0.85, 0.9, False), (0.95, 0.9, True)],
)
def test_the_measured_coverage_is_the_confidence_that_is_asked_for(
    coverage: float, confidence: float, is_open: bool
) -> None:
    """The pattern's own, and never less than acting ahead takes (0.8)."""
    assert judged(replace(GOOD, coverage=coverage), confidence).is_open == is_open


def test_forecasts_may_be_only_shown() -> None:
    assert judged(GOOD, only=True) == Gate(False, "the settings want forecasts only to be shown")
