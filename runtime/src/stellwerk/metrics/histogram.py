"""A histogram of durations with bins that grow by a constant factor. Pure.

Any quantile is within 1 % of the exact one, and histograms of different processes and seconds add
up without loss.
"""

import math
import struct
import zlib
from array import array
from collections.abc import Mapping
from typing import Final, Self

RELATIVE_ERROR: Final = 0.01
"""How far a quantile may be from the exact one, as a share of it."""
SMALLEST_SECONDS: Final = 1e-6
"""Shorter durations count as this one."""

# With bins from growth**(i-1) to growth**i, the value 2*growth**i / (growth+1) is at most
# RELATIVE_ERROR away from both ends (Masson, Rim and Lee, "DDSketch", VLDB 2019).
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_BINS_PER_E: Final = 1 / math.log(_GROWTH)
_MIDDLE: Final = 2 / (_GROWTH + 1)
_HEADER: Final = struct.Struct("<ddd")


class Histogram:
    """Durations in seconds. The count, the mean, the lowest and the highest are exact."""

    __slots__ = ("_bins", "count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self._bins: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.lowest = math.inf
        self.highest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        number = (
            math.ceil(math.log(seconds / SMALLEST_SECONDS) * _BINS_PER_E)
            if seconds > SMALLEST_SECONDS
            else 0
        )
        self._bins[number] = self._bins.get(number, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds < self.lowest:
            self.lowest = seconds
        if seconds > self.highest:
            self.highest = seconds

    def merge(self, other: Self) -> None:
        """Count all durations of `other` as well."""
        for number, count in other._bins.items():
            self._bins[number] = self._bins.get(number, 0) + count
        self.count += other.count
        self.total += other.total
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    @property
    def mean(self) -> float | None:
        """The arithmetic mean in seconds; None where nothing was counted."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The duration in seconds that this share of all does not exceed, by nearest rank.

        None where nothing was counted.
        """
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for number in sorted(self._bins):
            seen += self._bins[number]
            if seen >= rank:
                middle = SMALLEST_SECONDS * _MIDDLE * _GROWTH**number
                return min(max(middle, self.lowest), self.highest)
        return None

    def packed(self) -> bytes:
        """The histogram in about a hundred bytes."""
        pairs = array("I", (part for pair in sorted(self._bins.items()) for part in pair))
        return _HEADER.pack(self.total, self.lowest, self.highest) + zlib.compress(pairs.tobytes())

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """The histogram that `packed` made on this machine."""
        histogram = cls()
        histogram.total, histogram.lowest, histogram.highest = _HEADER.unpack_from(packed)
        pairs = array("I")
        pairs.frombytes(zlib.decompress(packed[_HEADER.size :]))
        histogram._bins = dict(zip(pairs[::2], pairs[1::2], strict=True))
        histogram.count = sum(pairs[1::2])
        return histogram

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._state() == other._state()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _state(self) -> tuple[Mapping[int, int], float, float, float]:
        return self._bins, self.total, self.lowest, self.highest
