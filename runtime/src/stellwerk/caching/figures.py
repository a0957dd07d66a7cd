"""The numbers of a layer for whoever collects metrics: flat names, so that no label is needed.

A service adds them to the numbers that it says of itself; the monitor keeps them and alerts.
"""

import re
from collections.abc import Mapping

from stellwerk.caching.statistics import Statistics

_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")


def figures(layer: str, statistics: Statistics) -> Mapping[str, float]:
    """The counters of a layer since the start, its hit rate in percent and its response time.

    Names are as cache_portfolio_summary_hits. A rate that is not known yet is left out.
    """
    found: dict[str, float] = {
        "hits": statistics.hits,
        "local_hits": statistics.local_hits,
        "misses": statistics.misses,
        "stale_hits": statistics.stale_hits,
        "unavailable": statistics.unavailable,
        "loads": statistics.loads,
        "failed_loads": statistics.failed_loads,
        "sets": statistics.sets,
        "deletes": statistics.deletes,
        "evictions": statistics.evictions,
        "refused": statistics.refused,
        "unreadable": statistics.unreadable.total(),
    }
    if statistics.hit_ratio is not None:
        found["hit_rate_percent"] = 100 * statistics.hit_ratio
    answered = sum(statistics.response_time.counts)
    if answered:
        found["response_ms"] = statistics.response_time.sum_ms / answered
    name = _NOT_OF_A_NAME.sub("_", layer.lower()).strip("_")
    return {f"cache_{name}_{what}": value for what, value in found.items()}
