"""Services as tests see them: their policy, what is observed, what is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import Decision, Observations, Phase, Policy, Reading, State
from stellwerk.scaling.series import Series
from stellwerk.settings.scaling import Emergency, Idle
from stellwerk.settings.scaling_policy import Rule, ServicePolicy

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""
CPU_RULE = Rule(up_above=70, down_below=30)
MEMORY_RULE = Rule(up_above=80, down_below=40)
NO_REST: Mapping[str, Any] = {
    "cooldown_up_seconds": 0,
    "cooldown_down_seconds": 0,
    "stabilization_down_seconds": 0,
}


def policy(
    minimum: int = 2,
    maximum: int = 8,
    *,
    emergency: Emergency | None = None,
    idle: Idle | None = None,
    **rules: Any,
) -> Policy:
    """A policy with a CPU rule of 70/30 and no rests, unless `rules` say otherwise."""
    given = {"cpu_percent": CPU_RULE, **NO_REST, **rules}
    return Policy(
        "shop",
        minimum,
        maximum,
        ServicePolicy(**given),
        emergency=emergency or Emergency(),
        idle=idle or Idle(),
    )


def steady(value: float, now: datetime = NOW, *, seconds: int = 3600, every: int = 60) -> Series:
    """The same value for a while until now."""
    end = now.timestamp()
    times = [end - back for back in range(seconds, -1, -every)]
    return Series(times, [value] * len(times))


def reading(
    number: int,
    phase: Phase = Phase.SERVING,
    *,
    now: datetime = NOW,
    started: float = 86400,
    **metrics: float | Series | None,
) -> Reading:
    """An instance that started so many seconds ago. A metric of None has no samples."""
    return Reading(
        f"shop@{8100 + number}",
        phase,
        now.timestamp() - started,
        {
            name: value if isinstance(value, Series) else steady(value, now)
            for name, value in metrics.items()
            if value is not None
        },
    )


def observed(
    cpu: float | None,
    count: int = 2,
    *,
    desired: int | None = None,
    starting: int = 0,
    now: datetime = NOW,
    service: Mapping[str, float] | None = None,
    memory_percent: float | None = None,
    queue_length: float | None = None,
) -> Observations:
    """So many instances that serve, all with the same values, and others that start."""
    serving = [
        reading(
            n, now=now, cpu_percent=cpu, memory_percent=memory_percent, queue_length=queue_length
        )
        for n in range(1, count + 1)
    ]
    coming = [
        reading(count + n, Phase.STARTING, now=now, started=5) for n in range(1, starting + 1)
    ]
    return Observations(
        count + starting if desired is None else desired,
        (*serving, *coming),
        {name: steady(value, now) for name, value in (service or {}).items()},
    )


def with_instances(seen: Observations, more: Sequence[Reading]) -> Observations:
    """The same with more instances."""
    return replace(seen, instances=(*seen.instances, *more))


def run(
    of: Policy,
    loads: Sequence[float],
    *,
    start: int,
    every: int = 60,
    state: State | None = None,
) -> list[Decision]:
    """Decisions one after the other while the CPU that a single instance would have goes through
    `loads`; instances serve at once.
    """
    state, count, decisions = state or State(), start, []
    times: list[float] = []
    shares: list[float] = []
    for number, load in enumerate(loads):
        now = NOW + timedelta(seconds=number * every)
        times.append(now.timestamp())
        shares.append(min(100.0, load / count))
        series = Series(list(times[-60:]), list(shares[-60:]))
        readings = tuple(reading(n, now=now, cpu_percent=series) for n in range(1, count + 1))
        decision = decide(of, Observations(count, readings), state, now)
        state, count = decision.state, decision.desired
        decisions.append(decision)
    return decisions
