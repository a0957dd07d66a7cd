"""Compares a run with earlier ones of the same kind. Pure.

A quantile is compared only where enough requests lie above it: the p99 of a hundred requests is one
request, and says nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Self

from stellwerk.loadtest.check import Check, Group, judged
from stellwerk.loadtest.endpoint import QUANTILES, EndpointFigures
from stellwerk.settings.loadtest import Comparison

_ABOVE: Final = 10  # requests above a quantile that make it comparable


@dataclass(frozen=True)
class Conditions:
    """What two runs have to share to be comparable."""

    scenario: str
    scale: float
    url: str
    requests_per_second: float
    users: int

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The conditions in a report. Raises KeyError and TypeError."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class EarlierRun:
    """The response times in ms of an earlier run, by label and statistic."""

    times: Mapping[str, Mapping[str, float | None]]


def comparison_checks(
    endpoints: Sequence[EndpointFigures], earlier: Sequence[EarlierRun], settings: Comparison
) -> Iterator[Check]:
    """Each response time beside the median of the earlier runs; none where there are none."""
    for endpoint in endpoints:
        if endpoint.is_operation:
            continue
        for statistic, share in QUANTILES.items():
            past = [
                value
                for run in earlier
                if (value := run.times.get(endpoint.label, {}).get(statistic)) is not None
            ]
            measured = endpoint.response.get(statistic)
            if past and measured is not None:
                yield _check(endpoint, statistic, share, measured, past, settings)


def _check(
    endpoint: EndpointFigures,
    statistic: str,
    share: float,
    measured: float,
    past: list[float],
    settings: Comparison,
) -> Check:
    usual = median(past)
    bound = max(usual * (1 + settings.worse_percent / 100), usual + settings.worse_ms)
    if endpoint.requests * (1 - share) < _ABOVE:
        return Check(
            Group.COMPARISON,
            endpoint.label,
            statistic,
            "ms",
            measured,
            bound,
            usual,
            reason=f"{endpoint.requests} requests are too few to compare it",
        )
    runs = "one earlier run" if len(past) == 1 else f"{len(past)} earlier runs"
    change = 100 * (measured - usual) / usual if usual else 0.0
    return judged(
        Group.COMPARISON,
        endpoint.label,
        statistic,
        "ms",
        measured,
        bound,
        current=usual,
        reason=f"{change:+.0f} % to {runs}",
    )
