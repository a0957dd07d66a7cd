"""What the metrics of a service say over a window, as a whole and per instance. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from stellwerk.scaling.model import CPU, Observations, Phase, Policy, Reading
from stellwerk.scaling.series import Series
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


@dataclass(frozen=True)
class Look:
    """What a policy sees at a moment, in seconds since 1970."""

    policy: Policy
    seen: Observations
    now: float
    serving: tuple[Reading, ...]
    starting: tuple[Reading, ...]

    @classmethod
    def at(cls, policy: Policy, seen: Observations, now: float) -> "Look":
        """A look at what is seen now."""
        return cls(policy, seen, now, seen.of(Phase.SERVING), seen.of(Phase.STARTING))

    def measure(
        self, metric: str, across: Across = "average", seconds: float | None = None
    ) -> Measure:
        """A metric over the evaluation period, or over so many seconds."""
        seconds = self.policy.rules.evaluation_period_seconds if seconds is None else seconds
        series = self.seen.metrics.get(metric)
        if series is not None:
            return self._of_service(metric, series, seconds)
        return self._of_instances(metric, across, seconds)

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

    def mean(self, one: Reading, metric: str, seconds: float) -> float | None:
        """An instance's mean over a window; of its CPU, what it used while warming up is left
        out.
        """
        after = self.now - seconds
        if metric == CPU and one.started_at is not None:
            after = max(after, one.started_at + self.policy.rules.warm_up_seconds)
        return one.series(metric).mean(after, self.now, stale_after=self._stale_after)

    @property
    def _stale_after(self) -> float:
        return self.policy.rules.stale_after_seconds

    def _of_service(self, metric: str, series: Series, seconds: float) -> Measure:
        mean = series.mean(self.now - seconds, self.now, stale_after=self._stale_after)
        if mean is None and metric in self.policy.rules.zero_when_missing:
            mean = 0.0
        newest = series.newest(self.now)
        return Measure(mean, mean, None, newest[1] if newest and mean is not None else None)

    def _of_instances(self, metric: str, across: Across, seconds: float) -> Measure:
        known: list[float] = []
        latest: list[float] = []
        unknown, warming = 0, 0
        for one in self.serving:
            mean = self.mean(one, metric, seconds)
            if metric == CPU and self.warms_up(one):
                warming += 1
            elif mean is None:
                unknown += 1
            else:
                known.append(mean)
                newest = one.series(metric).newest(self.now)
                if newest:
                    latest.append(newest[1])
        if unknown and metric in self.policy.rules.zero_when_missing:
            known += [0.0] * unknown
            unknown = 0
        if not known:
            return Measure(None, None, 0)
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
