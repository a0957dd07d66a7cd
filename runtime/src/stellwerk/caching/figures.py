"""The numbers of a layer for whoever collects metrics: flat names, so that no label is needed.

A service adds them to the numbers that it says of itself; the monitor keeps them and alerts.
"""

import re
from collections.abc import Mapping

from stellwerk.caching.statistics import Statistics

_NOT_OF_A_NAME = re.compile(r"[^a-z0-9]+")


def counters(statistics: Statistics) -> dict[str, float]:
    """What was counted in a layer since the start: numbers that only grow.

    `response_ms` is the time of all `responses` together; `responses_1` and so on are how many of
    them were in each bucket of the settings, the last one above all bounds.
    """
    times = statistics.response_time
    return {
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
        "response_ms": times.sum_ms,
        "responses": sum(times.counts),
        **{f"responses_{number}": count for number, count in enumerate(times.counts, start=1)},
    }


def hit_rate_percent(counted: Mapping[str, float]) -> float | None:
    """Hits in all reads; None before the first."""
    return _percent(counted.get("hits", 0), counted.get("misses", 0))


def mean_response_ms(counted: Mapping[str, float]) -> float | None:
    """The mean time of an answer; None before the first."""
    responses = counted.get("responses", 0)
    return counted.get("response_ms", 0) / responses if responses else None


def figures(layer: str, statistics: Statistics) -> Mapping[str, float]:
    """The counters of a layer since the start, its hit rate in percent and its response time.

    Names are as cache_portfolio_summary_hits. A rate that is not known yet is left out.
    """
    counted = counters(statistics)
    rates = {
        "hit_rate_percent": hit_rate_percent(counted),
        "response_ms": mean_response_ms(counted),
    }
    found = {what: value for what, value in counted.items() if not what.startswith("response")}
    found |= {what: value for what, value in rates.items() if value is not None}
    name = _NOT_OF_A_NAME.sub("_", layer.lower()).strip("_")
    return {f"cache_{name}_{what}": value for what, value in found.items()}


def _percent(part: float, rest: float) -> float | None:
    return 100 * part / (part + rest) if part + rest else None
