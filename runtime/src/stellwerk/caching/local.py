"""The process' own copies of a layer's entries (L1): bounded, short-lived, never shared to change.

A value that a caller could change is kept encoded and decoded for each hit.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as fields_of
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec

from stellwerk.caching.codec import Codec
from stellwerk.caching.validity import Moment, Validity

MISSING: Final = object()
"""Stands for "no copy", as None is a value."""

_IMMUTABLE: Final = (
    *(type(None), bool, int, float, complex, str, bytes),
    *(Decimal, date, time, timedelta, UUID, Enum),
)


@dataclass(slots=True)
class _Copy:
    value: Any
    encoded: bool
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
        return self._codec.decode(copy.value) if copy.encoded else copy.value

    def put(
        self, key: str, value: Any, seconds: float, names: Sequence[str], moment: Moment
    ) -> None:
        """Keep a value that was read at `moment` and is fresh for `seconds`."""
        encoded = not is_immutable(value)
        self._copies[key] = _Copy(
            self._codec.encode(value) if encoded else value,
            encoded,
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


def is_immutable(value: Any) -> bool:
    """Whether nobody who holds the value can change it for others."""
    if isinstance(value, _IMMUTABLE):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(is_immutable, value))
    if isinstance(value, msgspec.Struct):
        return value.__struct_config__.frozen and all(
            is_immutable(getattr(value, name)) for name in value.__struct_fields__
        )
    if is_dataclass(value) and not isinstance(value, type):
        return bool(type(value).__dataclass_params__.frozen) and all(  # type: ignore[attr-defined]
            is_immutable(getattr(value, field.name)) for field in fields_of(value)
        )
    return False
