"""Metrics of Redis Sentinel."""

from typing import Final

from stellwerk.metrics.model import Metric, Source
from stellwerk.metrics.units import Unit

AVAILABILITY: Final = Metric(
    Source.SENTINEL, "availability", Unit.FLAG, "1 while the Sentinel answers, otherwise 0."
)
MASTER_UP: Final = Metric(
    Source.SENTINEL, "master_up", Unit.FLAG, "Whether this Sentinel takes the master for up."
)
QUORUM: Final = Metric(
    Source.SENTINEL,
    "quorum",
    Unit.FLAG,
    "Whether enough Sentinels can be reached to agree on a failover.",
)
SENTINELS: Final = Metric(
    Source.SENTINEL, "known_sentinels", Unit.NUMBER, "Sentinels of the master, this one as well."
)
REPLICAS: Final = Metric(Source.SENTINEL, "known_replicas", Unit.NUMBER, "Replicas of the master.")

METRICS: Final = (AVAILABILITY, MASTER_UP, QUORUM, SENTINELS, REPLICAS)
