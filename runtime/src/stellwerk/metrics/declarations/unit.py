"""Metrics of the instances of services, from systemd and their control groups."""

from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit

_INSTANCE: Final = ("instance",)

ACTIVE: Final = Metric(
    Source.UNIT, "active", Unit.FLAG, "Whether the unit is active.", labels=_INSTANCE
)
CPU: Final = Metric(
    Source.UNIT,
    "cpu_percent",
    Unit.CORE_PERCENT,
    "CPU time of an instance; 100 is one core.",
    Kind.COUNTER,
    labels=_INSTANCE,
    baseline=BaselineOf(None, "cpu", ("average",)),
)
MEMORY: Final = Metric(
    Source.UNIT,
    "memory_mb",
    Unit.MEGABYTES,
    "Memory of an instance's processes, without page cache.",
    labels=_INSTANCE,
    baseline=BaselineOf(None, "memory", ("average",)),
)
MEMORY_PERCENT: Final = Metric(
    Source.UNIT,
    "memory_percent",
    Unit.PERCENT,
    "Memory of an instance, of its limit.",
    labels=_INSTANCE,
)
RESTARTS: Final = Metric(
    Source.UNIT,
    "restarts_per_hour",
    Unit.PER_HOUR,
    "Restarts of an instance by systemd.",
    Kind.COUNTER,
    labels=_INSTANCE,
)

METRICS: Final = (ACTIVE, CPU, MEMORY, MEMORY_PERCENT, RESTARTS)
