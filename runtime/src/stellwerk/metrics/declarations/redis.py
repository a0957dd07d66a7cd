"""Metrics of Redis servers, by the port they listen on: a single host runs two."""

from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit

_PORT: Final = ("port",)

AVAILABILITY: Final = Metric(
    Source.REDIS,
    "availability",
    Unit.FLAG,
    "1 while Redis answers, otherwise 0.",
    labels=_PORT,
)
MEMORY: Final = Metric(
    Source.REDIS, "memory_used_mb", Unit.MEGABYTES, "Memory in use.", labels=_PORT
)
MEMORY_USE: Final = Metric(
    Source.REDIS,
    "memory_use_percent",
    Unit.PERCENT,
    "Memory in use, of maxmemory.",
    labels=_PORT,
)
CLIENTS: Final = Metric(
    Source.REDIS, "connected_clients", Unit.NUMBER, "Connected clients.", labels=_PORT
)
HIT_RATE: Final = Metric(
    Source.REDIS,
    "hit_rate_percent",
    Unit.PERCENT,
    "Keys found since the last collection, of those read; none where fewer than 100 were.",
    labels=_PORT,
)
HITS: Final = Metric(
    Source.REDIS,
    "hits_per_second",
    Unit.PER_SECOND,
    "Keys that were read and found.",
    Kind.COUNTER,
    labels=_PORT,
)
MISSES: Final = Metric(
    Source.REDIS,
    "misses_per_second",
    Unit.PER_SECOND,
    "Keys that were read and not there.",
    Kind.COUNTER,
    labels=_PORT,
)
OPERATIONS: Final = Metric(
    Source.REDIS,
    "operations_per_second",
    Unit.PER_SECOND,
    "Commands processed.",
    Kind.COUNTER,
    labels=_PORT,
)
EVICTIONS: Final = Metric(
    Source.REDIS,
    "evictions_per_hour",
    Unit.PER_HOUR,
    "Keys evicted to stay within maxmemory.",
    Kind.COUNTER,
    labels=_PORT,
    baseline=BaselineOf("redis", "evictions", ("value",)),
)
IS_MASTER: Final = Metric(
    Source.REDIS, "is_master", Unit.FLAG, "1 on a master, 0 on a replica.", labels=_PORT
)
REPLICAS: Final = Metric(
    Source.REDIS, "connected_replicas", Unit.NUMBER, "Replicas of a master.", labels=_PORT
)
REPLICATION_LINK: Final = Metric(
    Source.REDIS,
    "replication_link",
    Unit.FLAG,
    "Whether a replica has its connection to the master.",
    labels=_PORT,
)
REPLICATION_LAG: Final = Metric(
    Source.REDIS,
    "replication_lag_bytes",
    Unit.BYTES,
    "How far the replica furthest behind is from its master's offset, as the master knows.",
    labels=_PORT,
)

METRICS: Final = (
    AVAILABILITY,
    MEMORY,
    MEMORY_USE,
    CLIENTS,
    HIT_RATE,
    HITS,
    MISSES,
    OPERATIONS,
    EVICTIONS,
    IS_MASTER,
    REPLICAS,
    REPLICATION_LINK,
    REPLICATION_LAG,
)
