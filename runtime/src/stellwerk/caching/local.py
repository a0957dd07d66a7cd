"""The process' own copies of a layer's entries (L1): bounded, short-lived, never shared to change.

A value that a caller could change is copied for each hit.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stellwerk.caching.codec import Codec
from stellwerk.caching.copying import Copier, is_immutable
from stellwerk.caching.validity import Moment, Validity

MISSING: Final = object()
"""Stands for "no copy", as None is a value."""


@dataclass(slots=True)
class _Copy:
    value: Any
    copied: Copier | None
    """What makes the value of each hit; None: all hits may share the one above."""
    ends: float
    names: tuple[str, ...]
    moment: Moment
    checked: int


class LocalCopies:
    """The copies of one layer, least recently used first. Times in seconds of `clock`."""

    def __init__(
        self,
        validity: Validity,
        codec: Codec,
        *,
        seconds: float,
        entries: int,
        clock: Callable[[], float],
    ) -> None:
        self._validity = validity
        self._codec = codec
        self._seconds = seconds
        self._entries = entries
        self._clock = clock
        self._copies: OrderedDict[str, _Copy] = OrderedDict()

    def get(self, key: str) -> Any:
        """The value, or MISSING."""
        copy = self._copies.get(key)
        if copy is None:
            return MISSING
        if copy.checked != self._validity.changes:
            if copy.moment != self._validity.moment(copy.names):
                del self._copies[key]
                return MISSING
            copy.checked = self._validity.changes
        if copy.ends <= self._clock():
            del self._copies[key]
            return MISSING
        self._copies.move_to_end(key)
        return copy.value if copy.copied is None else copy.copied()

    def put(
        self, key: str, value: Any, seconds: float, names: Sequence[str], moment: Moment
    ) -> None:
        """Keep a value that was read at `moment` and is fresh for `seconds`."""
        shared = is_immutable(value)
        self._copies[key] = _Copy(
            value if shared else None,
            None if shared else self._codec.copier(value),
            self._clock() + min(seconds, self._seconds),
            tuple(names),
            moment,
            checked=-1,
        )
        self._copies.move_to_end(key)
        if len(self._copies) > self._entries:
            self._copies.popitem(last=False)

    def __len__(self) -> int:
        """How many copies there are."""
        return len(self._copies)
