"""Metrics of the cache, per layer: what this host's processes counted, and the layers' memory."""

from typing import Final

from stellwerk.metrics.model import Kind, Metric, Source
from stellwerk.metrics.units import Unit

_LAYER: Final = ("layer",)

AVAILABILITY: Final = Metric(
    Source.CACHE, "availability", Unit.FLAG, "1 while the cache daemon answers, otherwise 0."
)
HITS: Final = Metric(
    Source.CACHE,
    "hits_per_second",
    Unit.PER_SECOND,
    "Reads of a layer that it answered.",
    Kind.COUNTER,
    labels=_LAYER,
)
MISSES: Final = Metric(
    Source.CACHE,
    "misses_per_second",
    Unit.PER_SECOND,
    "Reads of a layer that it could not answer.",
    Kind.COUNTER,
    labels=_LAYER,
)
SETS: Final = Metric(
    Source.CACHE,
    "sets_per_second",
    Unit.PER_SECOND,
    "Values stored in a layer.",
    Kind.COUNTER,
    labels=_LAYER,
)
DELETES: Final = Metric(
    Source.CACHE,
    "deletes_per_second",
    Unit.PER_SECOND,
    "Entries of a layer that were invalidated one by one.",
    Kind.COUNTER,
    labels=_LAYER,
)
EVICTIONS: Final = Metric(
    Source.CACHE,
    "evictions_per_hour",
    Unit.PER_HOUR,
    "Entries dropped to keep a layer within its budget.",
    Kind.COUNTER,
    labels=_LAYER,
)
LAYER_HIT_RATE: Final = Metric(
    Source.CACHE,
    "layer_hit_rate_percent",
    Unit.PERCENT,
    "Hits in the reads of a layer since the last collection.",
    labels=_LAYER,
)
LAYER_MEMORY: Final = Metric(
    Source.CACHE,
    "layer_memory_mb",
    Unit.MEGABYTES,
    "Memory that a layer with a budget takes in Redis.",
    labels=_LAYER,
)
LAYER_MEMORY_USE: Final = Metric(
    Source.CACHE,
    "layer_memory_use_percent",
    Unit.PERCENT,
    "The same, of its budget: a layer that is used for long fills it.",
    labels=_LAYER,
)
OPERATION: Final = Metric(
    Source.CACHE,
    "operation_ms",
    Unit.MILLISECONDS,
    "Mean time of a read from Redis since the last collection.",
    labels=_LAYER,
)
MISS_RATE: Final = Metric(
    Source.CACHE,
    "miss_rate_percent",
    Unit.PERCENT,
    "Misses in the reads of all layers since the last collection.",
)
MEMORY_USE: Final = Metric(
    Source.CACHE,
    "memory_use_percent",
    Unit.PERCENT,
    "Memory that all layers with a budget take in Redis, of their budgets.",
)

METRICS: Final = (
    AVAILABILITY,
    HITS,
    MISSES,
    SETS,
    DELETES,
    EVICTIONS,
    LAYER_HIT_RATE,
    LAYER_MEMORY,
    LAYER_MEMORY_USE,
    OPERATION,
    MISS_RATE,
    MEMORY_USE,
)
