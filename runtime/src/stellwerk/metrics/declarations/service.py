"""Metrics of services: their health endpoints, and the requests they answer.

The numbers a service says of itself are known only at run time: see `own`.
"""

import re
from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit, unit_by_name

AVAILABILITY: Final = Metric(
    Source.SERVICE,
    "availability",
    Unit.FLAG,
    "1 while the health endpoint of an instance answers, otherwise 0.",
    labels=("instance",),
)
RESPONSE_TIME: Final = Metric(
    Source.SERVICE,
    "response_time_ms",
    Unit.MILLISECONDS,
    "Response time of the health endpoint of an instance.",
    labels=("instance",),
)
REQUEST: Final = Metric(
    Source.SERVICE,
    "request_ms",
    Unit.MILLISECONDS,
    "Response times of requests, of a service or of one of its endpoints, seen by the balancer.",
    Kind.DISTRIBUTION,
    optional_labels=("endpoint",),
)

METRICS: Final = (AVAILABILITY, RESPONSE_TIME, REQUEST)

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_NAMELESS: Final = "number"


def own(name: str) -> Metric:
    """The metric of a number that a service calls `name` in its health answer.

    Its unit is the one the name ends in, and its usual value the baseline of the same name.
    """
    plain = _NOT_IN_NAMES.sub("_", name.lower()).strip("_")
    if not plain or plain[0].isdigit():
        plain = f"{_NAMELESS}_{plain}".strip("_")
    return Metric(
        Source.OWN,
        plain,
        unit_by_name(plain),
        "A number that a service says of itself.",
        labels=("instance",),
        baseline=BaselineOf(None, _measure(plain), ("value", "average", "sustained")),
    )


def _measure(name: str) -> str:
    """The name without its unit: the baselines give that apart."""
    suffix = unit_by_name(name).suffix
    return name.removesuffix(f"_{suffix}") if suffix else name
