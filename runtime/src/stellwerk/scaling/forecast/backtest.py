"""How good forecasts of a load would have been, had they been made all along. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stellwerk.scaling.forecast.forecasters import DAILY, WEEKLY
from stellwerk.scaling.forecast.load import Load
from stellwerk.scaling.forecast.pattern import gates, looks_back, patterns, steps_between
from stellwerk.scaling.forecast.rolling import Quality, Rolling, Stretch, lacking
from stellwerk.settings.scaling import Predictive

TRAINING_DAYS: Final = 21
"""Days in the beginning that are learned from only: two weeks make a bound, one judges it."""


@dataclass(frozen=True)
class Verdict:
    """How good the forecasts of one stretch were. `acted_on` is the share of them that passed the
    gate; None for those that are only shown.
    """

    name: str
    quality: Quality
    errors: Mapping[str, float]  # WAPE by forecaster
    acted_on: float | None


def of_patterns(settings: Predictive, load: Load) -> list[Verdict]:
    """The verdicts on the patterns of the settings, renewed as often as these say; none where the
    load is too short.
    """
    every = list(patterns(settings, load))
    opened: list[list[bool]] = []
    for origin in range(0, len(load.values), steps_between(settings, load)):
        if not lacking(load, origin):
            for one in every:
                one.rolling.forecast(origin)
            if origin >= TRAINING_DAYS * load.steps_of_day:
                opened.append([one.is_open for one in gates(settings, every, origin)])
    verdicts = []
    for number, one in enumerate(every):
        acted_on = sum(row[number] for row in opened) / max(1, len(opened))
        verdicts.append(_verdict(f"{one.first}-{one.last} min", one.rolling, acted_on))
    return [one for one in verdicts if one]


def of_next_day(settings: Predictive, load: Load) -> Verdict | None:
    """The verdict on forecasts of the next 24 hours by all forecasters, made once a day; None where
    the load is too short.
    """
    day = load.steps_of_day
    stretch = Stretch(0, day, {**DAILY, **WEEKLY}, looks_back(settings, load))
    rolling = Rolling(load, stretch, settings.prescale.bound)
    for origin in range(0, len(load.values), day):
        if not lacking(load, origin):
            rolling.forecast(origin)
    return _verdict("next day", rolling, None)


def _verdict(name: str, rolling: Rolling, acted_on: float | None) -> Verdict | None:
    since = TRAINING_DAYS * rolling.load.steps_of_day
    quality = rolling.overall(since)
    if quality is None:
        return None
    return Verdict(name, quality, rolling.errors(since), acted_on)
