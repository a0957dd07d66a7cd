"""Copies of a value for several holders, each of whom may change its own."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec

Copier = Callable[[], Any]

_IMMUTABLE: Final = (
    *(type(None), bool, int, float, complex, str, bytes),
    *(Decimal, date, time, timedelta, UUID, Enum),
)


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
            is_immutable(getattr(value, field.name)) for field in fields(value)
        )
    return False


def container_copier(value: Any) -> Copier | None:
    """What makes copies of lists and mappings as they are now, whatever becomes of them.

    None where the value is neither, or holds something else that can be changed. It takes about a
    quarter of the time of decoding.
    """
    kind = type(value)
    if kind is not dict and kind is not list:
        return None
    model = value.copy()
    parts: list[tuple[Any, Copier]] = []
    for at, item in value.items() if kind is dict else enumerate(value):
        if not is_immutable(item):
            part = container_copier(item)
            if part is None:
                return None
            parts.append((at, part))
            model[at] = None
    return partial(_assembled, model.copy, parts) if parts else model.copy


def _assembled(model: Copier, parts: list[tuple[Any, Copier]]) -> Any:
    """A copy of the model with a copy of each part in its place."""
    value = model()
    for at, part in parts:
        value[at] = part()
    return value
