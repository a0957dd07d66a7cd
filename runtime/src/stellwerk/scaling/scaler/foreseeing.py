"""A leading scaler's forecasts of what the ledger keeps of loads: made anew when they are due, in a
thread beside its judgements.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stellwerk.scaling.forecast.load import history_of
from stellwerk.scaling.forecast.predictor import Horizon, Predictor
from stellwerk.scaling.model import Foresight
from stellwerk.scaling.policies import cpu_share, sizes
from stellwerk.settings.root import Settings
from stellwerk.settings.scaling import Predictive

_PERCENT: Final = 100.0
_MINUTE: Final = 60

_logger: Final = logging.getLogger(__name__)

History = Callable[[str, timedelta], Awaitable[Sequence[tuple[float, float]]]]
"""The load of a service in steps of a length: their beginnings (seconds since 1970) and means."""


@dataclass(frozen=True)
class Wanted:
    """What a service's forecasts are made by. `per_instance` is the CPU that one instance is to use
    at most, in percent of a core.
    """

    service: str
    predictive: Predictive
    per_instance: float
    start_seconds: float


def wanted(settings: Settings) -> tuple[Wanted, ...]:
    """The services that are scaled and have a rule on CPU; none where forecasts are off."""
    predictive, sized = settings.scaling.predictive, sizes(settings)
    if not predictive.enabled:
        return ()
    return tuple(
        Wanted(
            name,
            predictive,
            sized[name].cpu_percent * share / _PERCENT,
            settings.services[name].start_timeout_seconds,
        )
        for name, rules in settings.scaling.services.items()
        if rules.enabled and (share := cpu_share(rules)) is not None
    )


class Forecasts:
    """The newest forecasts by service. Where one cannot be made, there is none."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Horizon | None]] = {}

    def at(self, moment: datetime) -> Mapping[str, Foresight]:
        """What they say at a moment, by service."""
        now = moment.timestamp()
        return {name: one.foresight(now) for name, (_, one) in self._made.items() if one}

    async def renew(self, settings: Settings, history: History, now: datetime) -> None:
        """Make those that are due, or that the settings want otherwise, one after the other, and
        drop those that they do not want.
        """
        services = {one.service: one for one in wanted(settings)}
        for name in self._made.keys() - services.keys():
            del self._made[name]
        for name, one in services.items():
            due = now.timestamp() // (one.predictive.refresh_minutes * _MINUTE)
            mark = (one, due)
            if name not in self._made or self._made[name][0] != mark:
                known = await history(name, timedelta(minutes=one.predictive.step_minutes))
                self._made[name] = (mark, await asyncio.to_thread(_horizon, one, known, now))


def _horizon(one: Wanted, history: Sequence[tuple[float, float]], now: datetime) -> Horizon | None:
    """The forecasts of a service, which take about two seconds of CPU."""
    until = now.timestamp()
    try:
        predictor = Predictor(
            one.predictive,
            history_of(one.predictive, one.service, history, until),
            per_instance=one.per_instance,
            start_seconds=one.start_seconds,
        )
        return predictor.horizon(until)
    except Exception:  # the rules go on without it
        _logger.exception("%s: no forecast can be made", one.service)
        return None
