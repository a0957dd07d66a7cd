"""Which simulation is run: policy and capacity from settings and options."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stellwerk.scaling.model import CPU, Policy
from stellwerk.scaling.policies import policies
from stellwerk.scaling.simulation import (
    Capacity,
    Outcome,
    fixed_peak,
    perfect_foresight,
    replay,
)
from stellwerk.scaling.trace import Trace, TraceError, read_trace
from stellwerk.settings.root import Settings

_FULL: Final = 100.0
_DAY: Final = 86400.0


@dataclass(frozen=True)
class Options:
    """What is asked for. See `stellwerk scaling simulate --help`."""

    service: str
    path: Path
    capacity: float | None = None
    start_seconds: float = 60.0
    days: float | None = None


@dataclass(frozen=True)
class Run:
    """What was run. `left_out` are metrics with rules of which a trace says nothing."""

    trace: Trace
    capacity: Capacity
    left_out: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


def simulated(settings: Settings, options: Options) -> Run:
    """Replay a trace. Raises TraceError where trace or policy cannot be used."""
    trace = read_trace(options.path)
    if options.days:
        trace = trace.between(trace.start, trace.start + options.days * _DAY)
    whole = policies(settings)[options.service]
    policy, left_out = on_cpu_alone(whole)
    capacity = Capacity(options.capacity or _capacity_for(policy, trace), options.start_seconds)
    interval = float(settings.scaling.check_interval_seconds)
    outcomes = [replay(policy, trace, capacity, interval=interval)]
    outcomes += [
        fixed_peak(policy, trace, capacity, interval),
        perfect_foresight(policy, trace, capacity, interval),
    ]
    return Run(trace, capacity, left_out, tuple(outcomes))


def on_cpu_alone(policy: Policy) -> tuple[Policy, tuple[str, ...]]:
    """The policy with rules on CPU only, and the metrics left out. Raises TraceError for none."""
    rules = policy.rules
    targets = {name: one for name, one in rules.targets.items() if name == CPU}
    if rules.cpu_percent is None and not targets:
        raise TraceError(
            f"{policy.service}: has no rule on CPU that a trace could be replayed with"
        )
    left_out = [*(["memory_percent"] if rules.memory_percent else []), *rules.rules]
    left_out += [name for name in rules.targets if name != CPU]
    left_out += [band.metric for band in rules.bands.values()]
    cpu_rules = rules.model_copy(
        update={"memory_percent": None, "rules": {}, "targets": targets, "bands": {}}
    )
    return replace(policy, rules=cpu_rules), tuple(dict.fromkeys(left_out))


def _capacity_for(policy: Policy, trace: Trace) -> float:
    """What an instance has to serve for the peak to take the maximum, as the CPU rule has it."""
    rules = policy.rules
    share = rules.cpu_percent.up_above if rules.cpu_percent else rules.targets[CPU].value
    return trace.peak / policy.maximum / (share / _FULL)
