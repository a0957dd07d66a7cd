"""Metrics of the monitor itself."""

from typing import Final

from stellwerk.metrics.model import Kind, Metric, Source
from stellwerk.metrics.units import Unit

READABLE: Final = Metric(
    Source.MONITOR,
    "source_readable",
    Unit.FLAG,
    "1 where the last look at a source was answered and understood, otherwise 0.",
    labels=("source", "subject"),
)
COLLECTION: Final = Metric(
    Source.MONITOR,
    "collection_ms",
    Unit.MILLISECONDS,
    "Time the last look at a source took.",
    labels=("source", "subject"),
)
CPU: Final = Metric(
    Source.MONITOR,
    "cpu_percent",
    Unit.CORE_PERCENT,
    "CPU time of the monitor; 100 is one core.",
    Kind.COUNTER,
)
MEMORY: Final = Metric(
    Source.MONITOR, "memory_mb", Unit.MEGABYTES, "Resident memory of the monitor."
)
HISTORY: Final = Metric(
    Source.MONITOR, "history_mb", Unit.MEGABYTES, "Disk space of the monitor's history."
)
ALERTS: Final = Metric(Source.MONITOR, "alerts_firing", Unit.NUMBER, "Alerts that are firing.")
UNSENT: Final = Metric(
    Source.MONITOR,
    "messages_queued",
    Unit.NUMBER,
    "Messages that no receiver has taken yet.",
    labels=("receiver",),
)

STATE: Final = Metric(
    Source.MONITOR,
    "source_state",
    Unit.FLAG,
    "1 for the state in which the last look found a source, 0 for the others.",
    labels=("source", "subject", "state"),
)
"""Exposed only: the history and alerts have READABLE and what each source says of itself."""

METRICS: Final = (READABLE, COLLECTION, CPU, MEMORY, HISTORY, ALERTS, UNSENT)
