"""Two windows for one target: a long one for calm, a short one for bursts, as Knative has. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class BurstRule:
    """When a burst begins, and how fast the number moves."""

    target: float  # per instance
    threshold: float = 2.0  # times those that serve
    seconds: float = 60.0  # it ends so long after the last time it was above the threshold
    up_factor: float = math.inf  # most instances in one step, times those that serve
    down_factor: float = math.inf  # fewest, as a divisor
    least_when_active: int = 0


@dataclass(frozen=True)
class BurstState:
    """A burst that goes on: when it was last above the threshold, and the most it asked for."""

    last_breach: float
    floor: int


def burst_step(
    rule: BurstRule,
    state: BurstState | None,
    now: float,
    *,
    serving: int,
    calm_total: float,
    burst_total: float,
    in_use: bool = True,
) -> tuple[int, BurstState | None]:
    """The number to have and the burst after it. In a burst the number never falls.

    One that is not `in_use` gets no requests, so nothing limits how fast it goes.
    """
    count = max(1, serving)
    most = (
        count * rule.up_factor if math.isinf(rule.up_factor) else math.ceil(count * rule.up_factor)
    )
    least = math.floor(count / rule.down_factor) if in_use else 0
    calm = _bounded(math.ceil(calm_total / rule.target), least, most, rule.least_when_active)
    wanted = math.ceil(burst_total / rule.target)
    burst = _bounded(wanted, least, most, rule.least_when_active)
    if wanted / count >= rule.threshold:
        state = BurstState(now, state.floor if state else 0)
    elif state is not None and now - state.last_breach > rule.seconds:
        state = None
    if state is None:
        return calm, None
    floor = max(state.floor, calm, burst)
    return floor, BurstState(state.last_breach, floor)


def _bounded(count: int, least: int, most: float, when_active: int) -> int:
    bounded = int(min(max(count, least), most))
    return max(bounded, when_active) if bounded > 0 else 0
