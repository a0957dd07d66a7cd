"""A load's history in equal steps, and the same by the clock on the wall to learn from. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from stellwerk.scaling.schedule import event_is_on
from stellwerk.settings.scaling import BusinessEvent, Predictive

DAY_SECONDS: Final = 86400
DAYS_OF_WEEK: Final = 7
_MINUTE: Final = 60

KeptOut = Callable[[float], bool]
"""Whether nothing is to be learned from a moment, in seconds since 1970."""


@dataclass(frozen=True)
class Load:
    """Mean load of equal steps from `start` on (seconds since 1970); NaN where it is unknown.

    `learned` is what forecasts learn from: steps of the wall clock of `zone`, so that a habit stays
    at its hour when clocks are set, without gaps and without what is kept out.
    """

    start: float
    step: float
    zone: str
    values: Sequence[float]
    kept_out: frozenset[int]
    learned: Sequence[float]

    @property
    def steps_of_day(self) -> int:
        """Steps of a day."""
        return round(DAY_SECONDS / self.step)

    def over_at(self, moment: float) -> int:
        """How many steps are over at a moment."""
        return max(0, min(len(self.values), int((moment - self.start) // self.step)))

    def place_of(self, number: int) -> int:
        """Where in `learned` a step is, or will be."""
        clock = _Clock(self.zone, self.step)
        return clock.place(self.start + number * self.step) - clock.place(self.start)

    def counts(self, number: int) -> bool:
        """Whether a forecast of a step can be judged, and is to be."""
        return math.isfinite(self.values[number]) and number not in self.kept_out

    def known_share(self, first: int, last: int) -> float:
        """Share of the steps from one to before another that are known."""
        steps = self.values[max(0, first) : last]
        return sum(map(math.isfinite, steps)) / len(steps) if steps else 0.0


def history_of(
    settings: Predictive,
    service: str,
    samples: Iterable[tuple[float, float]],
    until: float,
    *,
    step: float | None = None,
) -> Load:
    """What forecasts of a service learn from, in the settings' steps if no other is named: samples
    of its load, wherever they come from, until a moment. Raises ValueError as `load_of` does.
    """
    return load_of(
        samples,
        step or settings.step_minutes * _MINUTE,
        until,
        zone=settings.timezone,
        kept_out=on_event_days(settings.events.values(), service),
    )


def load_of(
    samples: Iterable[tuple[float, float]],
    step: float,
    until: float,
    *,
    zone: str = "Etc/UTC",
    kept_out: KeptOut | None = None,
) -> Load:
    """The load that samples (time, value) make, in any order, in steps that are over at a moment.

    What is not a finite number of 0 or more is no sample. Raises ValueError for a step that is no
    part of a day.
    """
    if DAY_SECONDS % step:
        raise ValueError(f"expected a step that divides a day, not {step:g} s")
    sums: dict[int, tuple[float, int]] = {}
    for moment, value in samples:
        if math.isfinite(value) and value >= 0 and moment < until:
            total, count = sums.get(number := int(moment // step), (0.0, 0))
            sums[number] = total + value, count + 1
    end = int(until // step)
    first = min(sums, default=end)
    values = [
        sums[number][0] / sums[number][1] if number in sums else math.nan
        for number in range(first, end)
    ]
    start = first * step
    out = frozenset(n for n in range(len(values)) if kept_out and kept_out(start + n * step))
    return Load(start, step, zone, values, out, _learned(values, out, start, _Clock(zone, step)))


def on_event_days(events: Iterable[BusinessEvent], service: str) -> KeptOut:
    """Whether a moment lies in a business event whose days are not to be learned from."""
    unlearned = [one for one in events if not one.in_history]
    return lambda at: any(
        event_is_on(event, datetime.fromtimestamp(at, UTC), service) for event in unlearned
    )


@dataclass(frozen=True)
class _Clock:
    """Counts steps as the clocks of a zone show them."""

    zone: str
    step: float

    def place(self, moment: float) -> int:
        offset = datetime.fromtimestamp(moment, ZoneInfo(self.zone)).utcoffset()
        return int((moment + (offset.total_seconds() if offset else 0)) // self.step)


def _learned(
    values: Sequence[float], kept_out: frozenset[int], start: float, clock: _Clock
) -> list[float]:
    """Steps by the wall clock. An hour that is skipped is as the week before; of one that comes
    twice the first counts, as the second would be the future of the first.
    """
    learned: list[float] = []
    origin = clock.place(start)
    week = round(DAYS_OF_WEEK * DAY_SECONDS / clock.step)
    for number in range(len(values) + 1):
        place = clock.place(start + number * clock.step) - origin
        while len(learned) < place:
            learned.append(_before(learned, week))
        if place == len(learned) and number < len(values):
            usable = math.isfinite(values[number]) and number not in kept_out
            learned.append(values[number] if usable else _before(learned, week))
    return learned


def _before(learned: Sequence[float], week: int) -> float:
    """What stands for a step that is not known: the week before, else the day before, else the step
    before. Never anything after it, which would be the future of forecasts in between.
    """
    for back in (week, week // DAYS_OF_WEEK, 1):
        if len(learned) >= back:
            return learned[-back]
    return 0.0
