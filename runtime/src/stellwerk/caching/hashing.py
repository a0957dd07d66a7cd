"""A digest of a calculation's inputs, the same in every process.

Each input goes in with its type and length, so 1, True, "1", 1.0 and Decimal(1) are five inputs.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import msgspec

from stellwerk.caching.errors import UnsupportedValueError

_DIGEST_BYTES: Final = 16


def digest(inputs: Mapping[str, object]) -> str:
    """The hexadecimal digest of named inputs, whatever their order.

    Raises UnsupportedValueError for an input that is not made of values.
    """
    return blake2b(_encoded(dict(inputs)), digest_size=_DIGEST_BYTES).hexdigest()


def _encoded(value: object) -> bytes:
    kind = type(value)
    text = _TEXTS.get(kind)
    if text is not None:
        return _framed(kind.__name__, text(value))
    if kind in (list, tuple):
        items: Any = value
        return _framed(kind.__name__, b"".join(map(_encoded, items)))
    if kind in (set, frozenset):
        members: Any = value
        return _framed("set", b"".join(sorted(map(_encoded, members))))
    if isinstance(value, Mapping):
        pairs = sorted((_encoded(key), _encoded(item)) for key, item in value.items())
        return _framed("mapping", b"".join(key + item for key, item in pairs))
    return _framed(f"{kind.__module__}.{kind.__qualname__}", _object(value))


def _object(value: object) -> bytes:
    if isinstance(value, Enum):
        return value.name.encode()
    if isinstance(value, msgspec.Struct):
        return _encoded({name: getattr(value, name) for name in value.__struct_fields__})
    if is_dataclass(value) and not isinstance(value, type):
        return _encoded({field.name: getattr(value, field.name) for field in fields(value)})
    raise UnsupportedValueError(
        f"An input of a calculation is of type {type(value).__name__}, which has no digest:"
        " give its values instead."
    )


def _framed(kind: str, content: bytes) -> bytes:
    return b"%b\0%d\0%b" % (kind.encode(), len(content), content)


def _moment(value: datetime) -> bytes:
    zone = getattr(value.tzinfo, "key", "")
    return f"{value.isoformat()} {zone} {value.fold}".encode()


_TEXTS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: b"%d" % value,
    float: lambda value: value.hex().encode(),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
    Decimal: lambda value: str(value).encode(),
    datetime: _moment,
    date: lambda value: value.isoformat().encode(),
    time: lambda value: f"{value.isoformat()} {value.fold}".encode(),
    timedelta: lambda value: b"%d" % (value // timedelta(microseconds=1)),
    UUID: lambda value: value.bytes,
}
