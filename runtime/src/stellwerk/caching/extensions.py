"""MessagePack extension types: values of free form that come back exactly as they were.

MessagePack itself has text, numbers, bytes, lists and mappings. The types here are those whose
exact return a cache of calculations needs; no class is ever imported to make a value.
"""

import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from stellwerk.caching.errors import UnsupportedValueError

_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
(
    _DECIMAL,
    _DATETIME,
    _DATE,
    _TIME,
    _TIMEDELTA,
    _UUID,
    _ENUM,
    _TUPLE,
    _SET,
    _FROZENSET,
    _INT,
    _MAPPING,
) = range(1, 13)
_MICROSECOND: Final = timedelta(microseconds=1)

_encode = msgspec.msgpack.Encoder().encode


def prepared(value: Any) -> Any:
    """The value with everything that MessagePack has no type for as an extension.

    Raises UnsupportedValueError for a type that would not come back as it was.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return _mapping(value)
    if kind is list:
        return [prepared(item) for item in value]
    extension = _EXTENSIONS.get(kind)
    if extension is not None:
        return extension(value)
    if isinstance(value, Enum):
        return _enum(value)
    raise UnsupportedValueError(
        f"A value of type {kind.__name__} would not come back as it was: name the type when asking"
        " for the layer, as in cache.layer(name, type=...), or store plain values."
    )


def restored(code: int, data: memoryview) -> Any:
    """The value of an extension. Raises ValueError for one that nobody here has written."""
    restore = _RESTORES.get(code)
    if restore is None:
        raise ValueError(f"unknown extension type {code}")
    return restore(bytes(data))


def _ext(code: int, data: bytes) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, data)


def _decode(data: bytes) -> Any:
    return _DECODER.decode(data)


def _mapping(value: dict[Any, Any]) -> Any:
    """As MessagePack's own where all keys are text, which is what it can always read back."""
    if all(type(key) is str for key in value):
        return {key: prepared(item) for key, item in value.items()}
    return _ext(_MAPPING, _packed(part for pair in value.items() for part in pair))


def _restored_mapping(data: bytes) -> dict[Any, Any]:
    parts = _decode(data)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _whole(value: int) -> Any:
    if _INT64_MIN <= value <= _UINT64_MAX:
        return value
    return _ext(_INT, b"%d" % value)


def _moment(value: datetime) -> msgspec.msgpack.Ext:
    zone = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else ""
    return _ext(_DATETIME, f"{value.fold}{zone or ''}|{value.isoformat()}".encode())


def _restored_moment(data: bytes) -> datetime:
    place, _, text = data.decode().partition("|")
    value = datetime.fromisoformat(text).replace(fold=int(place[0]))
    return value.replace(tzinfo=ZoneInfo(place[1:])) if place[1:] else value


def _enum(value: Enum) -> msgspec.msgpack.Ext:
    kind = type(value)
    return _ext(_ENUM, f"{kind.__module__}\n{kind.__qualname__}\n{value.name}".encode())


def _restored_enum(data: bytes) -> Enum:
    module, qualified, name = data.decode().split("\n")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        # Not getattr, which may run code of the module or class.
        found = getattr(found, "__dict__", {}).get(part)
    if not (isinstance(found, type) and issubclass(found, Enum)):
        raise ValueError(f"no enumeration {qualified} is loaded")
    return found[name]


def _packed(items: Any) -> bytes:
    return _encode([prepared(item) for item in items])


_PLAIN: Final = frozenset({type(None), bool, float, str, bytes})
_EXTENSIONS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _whole,
    Decimal: lambda value: _ext(_DECIMAL, str(value).encode()),
    datetime: _moment,
    date: lambda value: _ext(_DATE, value.isoformat().encode()),
    time: lambda value: _ext(_TIME, f"{value.fold}{value.isoformat()}".encode()),
    timedelta: lambda value: _ext(_TIMEDELTA, b"%d" % (value // _MICROSECOND)),
    UUID: lambda value: _ext(_UUID, value.bytes),
    tuple: lambda value: _ext(_TUPLE, _packed(value)),
    set: lambda value: _ext(_SET, _packed(value)),
    frozenset: lambda value: _ext(_FROZENSET, _packed(value)),
}
_RESTORES: Final[dict[int, Callable[[bytes], Any]]] = {
    _DECIMAL: lambda data: Decimal(data.decode()),
    _DATETIME: _restored_moment,
    _DATE: lambda data: date.fromisoformat(data.decode()),
    _TIME: lambda data: time.fromisoformat(data[1:].decode()).replace(fold=int(data[:1])),
    _TIMEDELTA: lambda data: int(data) * _MICROSECOND,
    _UUID: lambda data: UUID(bytes=data),
    _ENUM: _restored_enum,
    _TUPLE: lambda data: tuple(_decode(data)),
    _SET: lambda data: set(_decode(data)),
    _FROZENSET: lambda data: frozenset(_decode(data)),
    _INT: lambda data: int(data),
    _MAPPING: _restored_mapping,
}
_DECODER: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(ext_hook=restored)
