"""What happened in a layer since the process began. Counters only grow."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Histogram:
    """How often a duration fell below each bound; the last count is of those above all."""

    bounds_ms: tuple[float, ...]
    counts: list[int] = field(init=False)
    sum_ms: float = 0.0

    def __post_init__(self) -> None:
        """Start at zero."""
        self.counts = [0] * (len(self.bounds_ms) + 1)

    def add(self, milliseconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds_ms, milliseconds)] += 1
        self.sum_ms += milliseconds


@dataclass(slots=True)
class Statistics:
    """The counters of one layer."""

    response_time: Histogram
    hits: int = 0
    """Reads answered by Redis or by the process' own copy."""
    local_hits: int = 0
    misses: int = 0
    stale_hits: int = 0
    """Reads answered by an old value because the source failed."""
    unavailable: int = 0
    """Reads for which Redis could not be asked."""
    loads: int = 0
    failed_loads: int = 0
    refreshes: int = 0
    sets: int = 0
    deletes: int = 0
    evictions: int = 0
    refused: int = 0
    """Loads that were not stored because an invalidation or a write came between."""
    too_large: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    """Stored values that could not be read, by reason."""

    @property
    def hit_ratio(self) -> float | None:
        """Hits in all reads, 0 to 1; None before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None
