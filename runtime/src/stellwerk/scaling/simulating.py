"""Which simulation is run: policy and capacity from settings and options."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stellwerk.scaling.backtesting import load_of_trace
from stellwerk.scaling.forecast.predictor import Predictor
from stellwerk.scaling.model import CPU, Policy
from stellwerk.scaling.policies import cpu_share, policies
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
    forecast: bool = False


@dataclass(frozen=True)
class Run:
    """What was run. `left_out` are metrics with rules of which a trace says nothing; `unforeseen`
    is why no forecast was acted on in the end, if any was asked for.
    """

    trace: Trace
    capacity: Capacity
    left_out: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    unforeseen: str = ""


def simulated(settings: Settings, options: Options) -> Run:
    """Replay a trace. Raises TraceError where trace or policy cannot be used."""
    trace = read_trace(options.path)
    if options.days:
        trace = trace.between(trace.start, trace.start + options.days * _DAY)
    policy, left_out, share = on_cpu_alone(policies(settings)[options.service])
    rate = options.capacity or trace.peak / policy.maximum / share
    capacity = Capacity(rate, options.start_seconds)
    interval = float(settings.scaling.check_interval_seconds)
    outcomes = [replay(policy, trace, capacity, interval=interval)]
    unforeseen = ""
    if options.forecast:
        predictive = settings.scaling.predictive
        load = load_of_trace(predictive, trace, options.service)
        of = Predictor(
            predictive, load, per_instance=share * rate, start_seconds=options.start_seconds
        )
        name = "with forecasts"
        outcomes.append(
            replay(policy, trace, capacity, interval=interval, predict=of.at, name=name)
        )
        unforeseen = of.unforeseen(trace.end)
    outcomes += [
        fixed_peak(policy, trace, capacity, interval),
        perfect_foresight(policy, trace, capacity, interval),
    ]
    return Run(trace, capacity, left_out, tuple(outcomes), unforeseen)


def on_cpu_alone(policy: Policy) -> tuple[Policy, tuple[str, ...], float]:
    """The policy with rules on CPU only, the metrics left out, and the share of its CPU that an
    instance is to use at most. Raises TraceError for none.
    """
    rules = policy.rules
    targets = {name: one for name, one in rules.targets.items() if name == CPU}
    percent = cpu_share(rules)
    if percent is None:
        raise TraceError(
            f"{policy.service}: has no rule on CPU that a trace could be replayed with"
        )
    left_out = [*(["memory_percent"] if rules.memory_percent else []), *rules.rules]
    left_out += [name for name in rules.targets if name != CPU]
    left_out += [band.metric for band in rules.bands.values()]
    cpu_rules = rules.model_copy(
        update={"memory_percent": None, "rules": {}, "targets": targets, "bands": {}}
    )
    return replace(policy, rules=cpu_rules), tuple(dict.fromkeys(left_out)), percent / _FULL
