"""What a process knows of invalidations, so that its own copies are valid or not used.

A copy remembers how often each name it depends on had lost its validity when reading began. So a
copy that was read before an invalidation but arrives after it is as worthless as an older one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

_NAMES_MAX: Final = 10_000
"""Names counted at most; beyond, everything is taken as invalid once and counting starts anew."""

Moment = tuple[int, ...]
"""How often everything, and each of some names, had lost its validity."""


class Validity:
    """Counts the invalidations of names."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._clearances = 0
        self.changes = 0
        """Grows with every invalidation of whatever name."""

    def moment(self, names: Sequence[str]) -> Moment:
        """The counts of these names now."""
        counts = self._counts
        return (self._clearances, *[counts.get(name, 0) for name in names])

    def void(self, names: Iterable[str]) -> None:
        """These names have lost their validity."""
        self.changes += 1
        for name in names:
            self._counts[name] = self._counts.get(name, 0) + 1
        if len(self._counts) > _NAMES_MAX:
            self.clear()

    def clear(self) -> None:
        """Everything has: what was missed is not known."""
        self.changes += 1
        self._clearances += 1
        self._counts.clear()
