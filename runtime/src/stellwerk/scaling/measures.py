"""What the metrics of a service say over a window, as a whole and per instance. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from stellwerk.scaling.model import CPU, Observations, Phase, Policy, Reading
from stellwerk.scaling.series import Over, Series
from stellwerk.settings.scaling_policy import Across


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric over a window.

    `low` counts what is not known as nothing, for the way up; `high` leaves it out and is None
    where something is missing that ought to be known, for the way down. `instances` share it; None
    for a metric of the service as a whole, which the number of instances does not change.
    """

    low: float | None
    high: float | None
    instances: int | None
    latest: float | None = None

    @property
    def missing(self) -> bool:
        """Whether nothing or not enough is known to ask for less."""
        return self.high is None


_UNKNOWN: Final = Measure(None, None, 0)


@dataclass(frozen=True)
class Look:
    """What a policy sees at a moment, in seconds since 1970. Each measure is taken once."""

    policy: Policy
    seen: Observations
    now: float
    serving: tuple[Reading, ...]
    starting: tuple[Reading, ...]
    names: frozenset[str]  # of the metrics that any instance has
    _taken: dict[tuple[str, Across, float], Measure] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, policy: Policy, seen: Observations, now: float) -> "Look":
        """A look at what is seen now."""
        serving = seen.of(Phase.SERVING)
        names = frozenset().union(*(one.metrics for one in serving))
        return cls(policy, seen, now, serving, seen.of(Phase.STARTING), names)

    def measure(
        self, metric: str, across: Across = "average", seconds: float | None = None
    ) -> Measure:
        """A metric over the evaluation period, or over so many seconds."""
        seconds = self.policy.rules.evaluation_period_seconds if seconds is None else seconds
        taken = self._taken.get((metric, across, seconds))
        if taken is None:
            series = self.seen.metrics.get(metric)
            if series is not None:
                taken = self._of_service(metric, series, seconds)
            else:
                taken = self._of_instances(metric, across, seconds)
            self._taken[metric, across, seconds] = taken
        return taken

    def samples(self, metric: str) -> list[float]:
        """A metric's samples in the evaluation period: the service's, or its instances' all."""
        after = self.now - self.policy.rules.evaluation_period_seconds
        series = self.seen.metrics.get(metric)
        every = [series] if series is not None else [one.series(metric) for one in self.serving]
        return [value for one in every for value in one.within(after, self.now)]

    def warms_up(self, one: Reading) -> bool:
        """Whether an instance is too young for its CPU to mean anything."""
        return one.started_at is not None and (
            self.now - one.started_at < self.policy.rules.warm_up_seconds
        )

    def over(self, one: Reading, metric: str, seconds: float) -> Over | None:
        """What is known of an instance over a window; of its CPU, what it used while warming up is
        left out.
        """
        series = one.metrics.get(metric)
        if series is None:
            return None
        after = self.now - seconds
        if metric == CPU and one.started_at is not None:
            after = max(after, one.started_at + self.policy.rules.warm_up_seconds)
        return series.over(after, self.now, stale_after=self._stale_after)

    @property
    def _stale_after(self) -> float:
        return self.policy.rules.stale_after_seconds

    def _of_service(self, metric: str, series: Series, seconds: float) -> Measure:
        over = series.over(self.now - seconds, self.now, stale_after=self._stale_after)
        if over is None and metric in self.policy.rules.zero_when_missing:
            over = Over(0.0, 0.0)
        if over is None:
            return Measure(None, None, None)
        return Measure(over.mean, over.mean, None, over.latest)

    def _of_instances(self, metric: str, across: Across, seconds: float) -> Measure:
        if metric not in self.names and metric not in self.policy.rules.zero_when_missing:
            return _UNKNOWN
        known: list[float] = []
        latest: list[float] = []
        unknown, warming = 0, 0
        for one in self.serving:
            if metric == CPU and self.warms_up(one):
                warming += 1
            elif (over := self.over(one, metric, seconds)) is None:
                unknown += 1
            else:
                known.append(over.mean)
                latest.append(over.latest)
        if unknown and metric in self.policy.rules.zero_when_missing:
            known += [0.0] * unknown
            unknown = 0
        if not known:
            return _UNKNOWN
        silent = unknown + warming + len(self.starting)
        return Measure(
            low=_across(across, known, silent),
            high=None if unknown else _across(across, known, 0),
            instances=None if across == "sum" else len(known),
            latest=_across(across, latest, 0) if latest else None,
        )


def _across(across: Across, values: Sequence[float], silent: int) -> float:
    if across == "sum":
        return sum(values)
    if across == "maximum":
        return max(values)
    return sum(values) / (len(values) + silent)
