"""A load's history in equal steps, with what must not be learned from replaced. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from stellwerk.scaling.forecast.members import DAYS_OF_WEEK, Values
from stellwerk.scaling.schedule import event_is_on
from stellwerk.scaling.trace import Trace
from stellwerk.settings.scaling import BusinessEvent

DAY_SECONDS = 86400


@dataclass(frozen=True)
class Load:
    """Mean load of equal steps from `start` on (seconds since 1970); NaN where it is unknown.

    `learned` is the same with unknown steps and days of events replaced by the week before.
    """

    start: float
    step: float
    values: Values
    learned: Values

    @property
    def steps_of_day(self) -> int:
        """Steps of a day."""
        return round(DAY_SECONDS / self.step)

    def steps_until(self, moment: float) -> int:
        """How many steps are over at a moment."""
        return max(0, min(len(self.values), int((moment - self.start) // self.step)))


def load_of(trace: Trace, step: float, excluded: Callable[[datetime], bool] | None = None) -> Load:
    """The load of a trace in coarser steps, from the first whole one on. Raises ValueError for
    a step that is no part of a day or no multiple of the trace's.
    """
    if DAY_SECONDS % step or step % trace.step:
        raise ValueError(
            f"expected a step that divides a day and is a multiple of {trace.step:g} s,"
            f" not {step:g} s"
        )
    per_step = int(step // trace.step)
    skipped = round((-trace.start % step) / trace.step)
    rates = np.asarray(trace.rates[skipped:], dtype=np.float64)
    whole = len(rates) // per_step
    values = rates[: whole * per_step].reshape(whole, per_step).mean(axis=1)
    start = trace.start + skipped * trace.step
    return Load(start, step, values, learned(values, start, step, excluded))


def learned(
    values: Values, start: float, step: float, excluded: Callable[[datetime], bool] | None = None
) -> Values:
    """What forecasts may learn from: unknown and excluded steps are as the week before, then as the
    day before, then nothing.
    """
    known = values.copy()
    day = round(DAY_SECONDS / step)
    replaced = set(np.flatnonzero(~np.isfinite(known)).tolist())
    if excluded is not None:
        moments = (datetime.fromtimestamp(start + step * n, UTC) for n in range(len(known)))
        replaced.update(n for n, moment in enumerate(moments) if excluded(moment))
    for place in sorted(replaced):
        sources = (place - DAYS_OF_WEEK * day, place - day)
        source = next((one for one in sources if one >= 0), None)
        known[place] = known[source] if source is not None else 0.0
    return known


def on_event_days(events: Iterable[BusinessEvent], service: str) -> Callable[[datetime], bool]:
    """Whether a moment lies in a business event whose days are not to be learned from."""
    kept_out = [one for one in events if not one.in_history]
    return lambda moment: any(event_is_on(event, moment, service) for event in kept_out)
