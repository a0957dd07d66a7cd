"""Memory and time as PostgreSQL writes them ("256MB", "15min").

Which quantity is right is decided elsewhere.
"""

import re
from collections.abc import Mapping
from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE
GIBIBYTE: Final = 1024 * MEBIBYTE

_BYTES_PER_UNIT: Final = {
    "B": 1,
    "kB": KIBIBYTE,
    "8kB": 8 * KIBIBYTE,
    "MB": MEBIBYTE,
    "GB": GIBIBYTE,
    "TB": 1024 * GIBIBYTE,
}
_MILLISECONDS_PER_UNIT: Final = {
    "us": 0.001,
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_QUANTITY: Final = re.compile(r"\s*([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*([A-Za-z]*)\s*")


class QuantityError(ValueError):
    """A text that PostgreSQL would not read as a quantity of the expected kind."""


def render_bytes(count: int) -> str:
    """Write a number of bytes in the largest of PostgreSQL's units that divides it."""
    for unit in ("TB", "GB", "MB", "kB"):
        if count and count % _BYTES_PER_UNIT[unit] == 0:
            return f"{count // _BYTES_PER_UNIT[unit]}{unit}"
    return f"{count}B"


def parse_bytes(text: str, base_unit: str) -> int:
    """Read an amount of memory in bytes; a bare number counts in `base_unit` ("8kB", "kB" ...).

    Raises `QuantityError` for anything else, as the units' case matters to PostgreSQL too.
    """
    number, unit = _split(text)
    if (unit or base_unit) not in _BYTES_PER_UNIT or unit == "8kB":
        raise QuantityError(f"{text!r} is no amount of memory: write it like 64kB, 16MB or 1GB.")
    return int(number * _BYTES_PER_UNIT[unit or base_unit])


def in_base_unit(text: str, base_unit: str | None) -> float:
    """Read a number, an amount of memory or a duration, in the unit `pg_settings.unit` names.

    Raises `QuantityError` where the text's unit is of another kind than `base_unit`.
    """
    number, unit = _split(text)
    if not unit:
        return number
    scales: tuple[Mapping[str, float], ...] = (_BYTES_PER_UNIT, _MILLISECONDS_PER_UNIT)
    for scale in scales:
        if base_unit is not None and base_unit in scale and unit in scale:
            return number * scale[unit] / scale[base_unit]
    raise QuantityError(f"{text!r} cannot be counted in {base_unit or 'plain numbers'}.")


def same_quantity(first: str, second: str) -> bool:
    """Whether two texts are the same, or amounts of memory or durations of the same size."""
    return first == second or any(_same_in(unit, first, second) for unit in ("B", "ms"))


def _same_in(unit: str, first: str, second: str) -> bool:
    try:
        return in_base_unit(first, unit) == in_base_unit(second, unit)
    except QuantityError:
        return False


def _split(text: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text!r} is no number with a unit: write it like 16MB or 15min.")
    return float(match[1]), match[2]
