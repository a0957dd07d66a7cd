"""Measures the scaler: `python -m tests.bench scaling` shows each figure beside its bar."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import Observations, Phase, Policy, Reading, State
from stellwerk.scaling.series import Series
from stellwerk.scaling.simulation import Capacity, replay
from stellwerk.scaling.trace import Trace
from stellwerk.settings.scaling_policy import Rule, ServicePolicy, Target
from tests.bench import forecasts, scaling_lab
from tests.bench.table import Figure, show

_NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
_SERVICES = 1000
_MINUTES_OF_DAY = 1440
_OWN = ("requests_per_second", "response_time_ms", "error_rate")


def main() -> None:
    """Measure one thing after the other and show each group of figures."""
    for title, measure in (
        ("1,000 services with 4 instances, 5 rules, and a sample every 15 s for 300 s", _services),
        ("a month of one service", _month),
        ("slow instances under a jump to ten times the load", _overshoot),
        ("a day of load that swings about a threshold", _swings),
        ("forecasts of public traces", forecasts.accuracy),
        ("the same, acted on with instances that start in 15 min", forecasts.acting),
        ("forecasts after a restart", forecasts.speed),
        ("load that climbs for 3 min, holds, and falls, on the lab", scaling_lab.following),
    ):
        show(title, list(measure()))


def _policy(maximum: int = 8) -> Policy:
    return Policy(
        "bench",
        1,
        maximum,
        ServicePolicy(
            cpu_percent=Rule(up_above=70, down_below=30),
            memory_percent=Rule(up_above=80, down_below=40),
            rules={name: Rule(up_above=500) for name in _OWN},
            cooldown_down_seconds=600,
        ),
    )


def _on_cpu(policy: Policy, target: float | None = None) -> Policy:
    cpu = Rule(up_above=70, down_below=30) if target is None else None
    targets = {} if target is None else {"cpu_percent": Target(value=target)}
    return Policy(
        policy.service,
        policy.minimum,
        policy.maximum,
        ServicePolicy(cpu_percent=cpu, targets=targets, cooldown_down_seconds=600),
    )


def _services() -> Iterator[Figure]:
    policy, now = _policy(), _NOW.timestamp()
    seen = [_observed(now) for _ in range(_SERVICES)]
    began = time.perf_counter()
    for one in seen:
        decide(policy, one, State(), _NOW)
    yield Figure("all decisions", f"{time.perf_counter() - began:.2f} s", "less than 1 s")


def _observed(now: float) -> Observations:
    names = ("cpu_percent", "memory_percent", *_OWN)
    readings = []
    for number in range(4):
        times = [now - back for back in range(300, -1, -15)]
        metrics = {name: Series(list(times), [50.0 + number] * len(times)) for name in names}
        readings.append(Reading(f"bench@{number}", Phase.SERVING, now - 86400, metrics))
    return Observations(len(readings), tuple(readings))


def _trace(rates: list[float]) -> Trace:
    return Trace("made", _NOW.timestamp(), 60, tuple(rates))


def _month() -> Iterator[Figure]:
    minutes = range(30 * _MINUTES_OF_DAY)
    load = _trace([25 - 20 * math.cos(minute * math.tau / _MINUTES_OF_DAY) for minute in minutes])
    began = time.perf_counter()
    outcome = replay(_on_cpu(_policy()), load, Capacity(10))
    yield Figure("replayed", f"{time.perf_counter() - began:.1f} s", "less than 10 s")
    yield Figure("under capacity", f"{outcome.minutes_under_capacity:.0f} min", "-")
    yield Figure("changes", f"{outcome.changes}", "-")


def _overshoot() -> Iterator[Figure]:
    load = _trace([5.0] * 60 + [100.0] * 600)
    for name, policy in (
        ("thresholds", _on_cpu(_policy(10**5))),
        ("a target", _on_cpu(_policy(10**5), 60)),
    ):
        most = max(replay(policy, load, Capacity(10, start)).most for start in (60, 300, 900))
        yield Figure(f"most instances of {name}", f"{most / 10:.1f} × the need", "at most 3 ×")


def _swings() -> Iterator[Figure]:
    for name, policy in (
        ("thresholds", _on_cpu(_policy())),
        ("a target", _on_cpu(_policy(), 60)),
    ):
        most = max(
            replay(policy, _swing(share, minutes), Capacity(10)).changes
            for share in (0.3, 0.6, 0.7)
            for minutes in (2, 10, 30, 60, 120)
        )
        yield Figure(f"most changes of {name}", str(most), "at most 6")


def _swing(share: float, minutes: int) -> Trace:
    middle = share * 10 * 3
    return _trace([middle * (1.1 if n // minutes % 2 else 0.9) for n in range(_MINUTES_OF_DAY)])


if __name__ == "__main__":
    main()
