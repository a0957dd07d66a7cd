"""What was measured of one kind of request, or of all of one operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from stellwerk.loadtest.tally import Cell
from stellwerk.metrics.histogram import Histogram

QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Times:
    """A distribution of durations in milliseconds."""

    p50: float | None
    p95: float | None
    p99: float | None
    mean: float | None
    highest: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> Self:
        """The figures of a histogram."""
        quantiles = {name: _ms(histogram.quantile(share)) for name, share in QUANTILES.items()}
        highest = histogram.highest if histogram.count else None
        return cls(**quantiles, mean=_ms(histogram.mean), highest=_ms(highest))

    def get(self, statistic: str) -> float | None:
        """The figure that a baseline calls p50, p95, p99, average, peak or maximum."""
        name = {"average": "mean", "peak": "highest", "maximum": "highest"}
        found: float | None = getattr(self, name.get(statistic, statistic), None)
        return found


@dataclass(frozen=True)
class EndpointFigures:
    """All that is said about some requests. `response` counts from the intended start, `service`
    from the sending.
    """

    label: str
    service_name: str
    kinds: tuple[int, ...]
    requests: int
    answered_per_second: float
    error_percent: float | None
    response: Times
    service: Times
    failures: Mapping[str, int]
    is_operation: bool = False


def figures(
    label: str,
    service_name: str,
    kinds: tuple[int, ...],
    cell: Cell,
    seconds: float,
    *,
    is_operation: bool = False,
) -> EndpointFigures:
    """The figures of a cell that spans so many seconds."""
    return EndpointFigures(
        label=label,
        service_name=service_name,
        kinds=kinds,
        requests=cell.requests,
        answered_per_second=cell.answered / seconds if seconds else 0.0,
        error_percent=cell.error_percent,
        response=Times.of(cell.response),
        service=Times.of(cell.service),
        failures=dict(cell.failures.most_common()),
        is_operation=is_operation,
    )


def as_values(times: Times) -> dict[str, Any]:
    """For JSON."""
    return {name: None if value is None else round(value, 3) for name, value in vars(times).items()}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
