"""How large the write-ahead log may grow, from how fast it was written. Pure."""

from dataclasses import dataclass
from typing import Final

from stellwerk.database.quantities import GIBIBYTE, MEBIBYTE

ENOUGH_HISTORY_SECONDS: Final = 86_400.0
"""A rate over less than a day says nothing of the busy hours."""

# The log of the interval that runs and of the one before is kept; the third is for busy hours.
_CHECKPOINTS_KEPT: Final = 3
_SHARE_OF_FREE_DISK: Final = 0.2
_STEP_BYTES: Final = 512 * MEBIBYTE
_LEAST_BYTES: Final = 2 * GIBIBYTE  # specification 4.1


@dataclass(frozen=True)
class WalHistory:
    """How much log was written in how long, and what is free on the disk it lies on."""

    written_bytes: int
    seconds: float
    free_bytes: int

    @property
    def bytes_per_second(self) -> float:
        """The mean rate."""
        return self.written_bytes / self.seconds

    @property
    def is_enough(self) -> bool:
        """Whether it covers a day, so that a size may follow from it."""
        return self.seconds >= ENOUGH_HISTORY_SECONDS


@dataclass(frozen=True)
class WalSizes:
    """max_wal_size and min_wal_size in bytes."""

    largest: int
    kept: int


def wal_sizes(history: WalHistory, checkpoint_timeout_seconds: float) -> WalSizes:
    """Sizes with which checkpoints come by time and are not forced by the log.

    max_wal_size holds the log of three checkpoint intervals, in steps of 512 MB so that it does not
    follow every breath; at most a fifth of the free disk, and at least the 2 GB of specification
    4.1. A quarter of it is kept for reuse, as there.
    """
    wished = history.bytes_per_second * checkpoint_timeout_seconds * _CHECKPOINTS_KEPT
    allowed = history.free_bytes * _SHARE_OF_FREE_DISK
    steps = min(-(-wished // _STEP_BYTES), allowed // _STEP_BYTES)
    largest = max(_LEAST_BYTES, int(steps) * _STEP_BYTES)
    return WalSizes(largest, largest // 4)
