"""A trace of load replayed through the policy, with a model of what instances can do. Pure.

The model: load is spread evenly, an instance serves a fixed rate at 100 % CPU, and one that is
started serves after a fixed time. What is beyond the capacity at a moment counts as lost.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import CPU, Observations, Phase, Policy, Prediction, Reading, State
from stellwerk.scaling.schedule import floor_at
from stellwerk.scaling.series import Series
from stellwerk.scaling.trace import Trace

Predict = Callable[[float], Prediction | None]
"""What a forecast asks for at a moment, in seconds since 1970."""


@dataclass(frozen=True)
class Capacity:
    """What an instance can do."""

    rate: float  # at 100 % CPU, in the unit of the trace per second
    start_seconds: float = 60.0


@dataclass(frozen=True)
class Moment:
    """What is the case at one check."""

    at: float
    rate: float
    desired: int
    serving: int
    sentence: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a way to scale did."""

    name: str
    moments: tuple[Moment, ...]
    step: float
    capacity: float

    def is_under(self, moment: Moment) -> bool:
        """Whether there is more load than those that serve can take."""
        return moment.rate > moment.serving * self.capacity * (1 + 1e-9)

    @property
    def instance_hours(self) -> float:
        """Instances times hours, those that start among them."""
        return sum(max(one.desired, one.serving) for one in self.moments) * self.step / 3600

    @property
    def minutes_under_capacity(self) -> float:
        """Minutes with more load than those that serve can take."""
        return sum(map(self.is_under, self.moments)) * self.step / 60

    @property
    def lost_share(self) -> float:
        """Share of the load that was beyond the capacity."""
        load = sum(one.rate for one in self.moments)
        lost = sum(max(0.0, one.rate - one.serving * self.capacity) for one in self.moments)
        return lost / load if load else 0.0

    @property
    def changes(self) -> int:
        """How often the number changed."""
        pairs = zip(self.moments, self.moments[1:], strict=False)
        return sum(before.desired != after.desired for before, after in pairs)

    @property
    def most(self) -> int:
        """The largest number."""
        return max(one.desired for one in self.moments)


def replay(
    policy: Policy,
    trace: Trace,
    capacity: Capacity,
    *,
    interval: float = 60.0,
    predict: Predict | None = None,
    name: str = "policy",
) -> Outcome:
    """What the policy makes of a trace."""
    moments = tuple(_replayed(policy, trace, capacity, interval, predict))
    return Outcome(name, moments, interval, capacity.rate)


def fixed_peak(policy: Policy, trace: Trace, capacity: Capacity, interval: float = 60.0) -> Outcome:
    """As many instances all the time as the peak takes."""
    count = max(policy.minimum, needed(trace.peak, capacity))
    moments = (Moment(at, trace.at(at), count, count) for at in _times(trace, interval))
    return Outcome("fixed peak", tuple(moments), interval, capacity.rate)


def perfect_foresight(
    policy: Policy, trace: Trace, capacity: Capacity, interval: float = 60.0
) -> Outcome:
    """As many instances at each moment as its load takes, none too early and none too late, and no
    fewer than the schedule says.
    """
    moments = []
    for at in _times(trace, interval):
        floor = floor_at(policy, datetime.fromtimestamp(at, UTC), frozenset())
        count = max(floor.instances, needed(trace.at(at), capacity))
        moments.append(Moment(at, trace.at(at), count, count))
    return Outcome("perfect foresight", tuple(moments), interval, capacity.rate)


def needed(rate: float, capacity: Capacity) -> int:
    """Instances that a load takes at 100 % CPU."""
    return math.ceil(rate / capacity.rate - 1e-9)


def _times(trace: Trace, interval: float) -> Iterator[float]:
    for number in range(int((trace.end - trace.start) // interval) + 1):
        yield trace.start + number * interval


def _replayed(
    policy: Policy, trace: Trace, capacity: Capacity, interval: float, predict: Predict | None
) -> Iterator[Moment]:
    cluster = _Cluster(policy, trace, capacity, interval)
    state = State()
    for at in _times(trace, interval):
        seen = cluster.observed(at, predict(at) if predict else None)
        decision = decide(policy, seen, state, datetime.fromtimestamp(at, UTC))
        state = decision.state
        changed = decision.desired != decision.current
        cluster.bring_to(decision.desired, at)
        yield Moment(
            at,
            trace.at(at),
            decision.desired,
            cluster.serving(at),
            decision.sentence if changed else "",
        )


class _Cluster:
    """The instances of a replay, oldest first, and their samples."""

    def __init__(self, policy: Policy, trace: Trace, capacity: Capacity, interval: float) -> None:
        self._trace, self._capacity = trace, capacity
        self._kept = int(max(policy.rules.evaluation_period_seconds, 60) // interval) + 2
        count = min(max(policy.minimum, needed(trace.rates[0], capacity)), policy.maximum)
        self._started = [trace.start - 86400.0] * count
        self._times: list[float] = []
        self._shares: list[float] = []

    def serving(self, at: float) -> int:
        return sum(at - started >= self._capacity.start_seconds for started in self._started)

    def bring_to(self, count: int, at: float) -> None:
        """Start as many as lack, or stop the newest."""
        self._started += [at] * (count - len(self._started))
        del self._started[count:]

    def observed(self, at: float, prediction: Prediction | None) -> Observations:
        serving = self.serving(at)
        share = 100 * self._trace.at(at) / (serving * self._capacity.rate) if serving else 100.0
        self._times.append(at)
        self._shares.append(min(100.0, share))
        series = Series(self._times[-self._kept :], self._shares[-self._kept :])
        readings = tuple(
            Reading(f"{number}", Phase.SERVING, started, {CPU: series})
            if at - started >= self._capacity.start_seconds
            else Reading(f"{number}", Phase.STARTING, started)
            for number, started in enumerate(self._started)
        )
        return Observations(len(self._started), readings, prediction=prediction)
