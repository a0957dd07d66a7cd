"""Columns of numbers in few bytes. Pure.

Whole numbers below 2**53, and numbers with at most three decimals, come back as they were; others
are kept to SIGNIFICANT_DIGITS. NaN stands for no value.

A column is scaled to whole numbers. Those, or their differences where they vary less, are counted
in steps above the least of them, split into planes of bytes, as the high bytes of neighbours are
alike, and deflated.
"""

import math
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise, repeat
from operator import add, mul, truediv
from struct import Struct
from typing import Any, Final, NamedTuple, Self, TypeAlias

SIGNIFICANT_DIGITS: Final = 5
"""Of numbers that are neither whole nor short decimals: an error of at most 0.005 %."""

_DECIMALS_KEPT: Final = (2, 3)
_MOST_DECIMALS: Final = 22  # 10**22 is the last power of ten that a float holds exactly
_EXACT_BELOW: Final = 2**53
_PLAIN, _DIFFERENCES, _FLOATS = range(3)
_GAPS_BIT: Final = 7  # beside the form: a bitmap says which values are there
_HEAD: Final = Struct("<BBB")  # form, decimals, widths of the counts and of the start
_STARTS: Final = {1: Struct("<3b"), 2: Struct("<3h"), 4: Struct("<3i"), 8: Struct("<3q")}
# of the first number, the least one and the step
_TYPES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_LEVEL: Final = 6
_WINDOW_BITS: Final = -9  # a small window is enough for a column, and quicker; no checksum
_MEMORY_LEVEL: Final = 5


class CodecError(ValueError):
    """The bytes are not what `pack` made."""


class Packed(NamedTuple):
    """A column in few bytes."""

    number: int
    """Values that are there."""
    lowest: float
    """The least of them; 0 of none."""
    blob: bytes
    """Empty for a column without gaps whose values are all the same."""


class Column(NamedTuple):
    """A column as it comes back."""

    values: list[float]
    present: list[bool] | None
    """For every row whether it has a value; None if all have."""

    def with_gaps(self) -> list[float]:
        """A value for every row, NaN where there is none: what was packed."""
        if self.present is None:
            return self.values
        values = iter(self.values)
        return [next(values) if present else math.nan for present in self.present]


def pack(column: Sequence[float]) -> Packed:
    """The column in few bytes. ValueError for an infinite value."""
    values = [value for value in column if value == value]
    if not values:
        return Packed(0, 0.0, b"")
    if any(map(math.isinf, values)):
        raise ValueError("expected finite values")
    scaled = _scaled(values)
    kept = values if scaled is None else _floats(*scaled)
    lowest = min(kept)
    has_gaps = len(values) < len(column)
    if lowest == max(kept) and not has_gaps:
        blob = b""
    else:
        gaps = _bitmap(column) if has_gaps else b""
        blob = _plain_floats(values, gaps) if scaled is None else _whole_numbers(*scaled, gaps)
    return Packed(len(values), lowest, blob)


def unpack(blob: bytes, rows: int, lowest: float) -> Column:
    """The column of so many rows that was packed. CodecError if it cannot be."""
    if not blob:
        return Column([lowest] * rows, None)
    present, numbers, decimals = _parts(blob, rows)
    return Column(_floats(numbers, decimals), present)


def total(blob: bytes, rows: int, lowest: float) -> tuple[int, float]:
    """How many values a column has and their sum, in half the time that unpacking takes. Errors as
    of `unpack`.
    """
    if not blob:
        return rows, rows * lowest
    _, numbers, decimals = _parts(blob, rows)
    return len(numbers), sum(numbers) / 10**decimals


def _scaled(values: list[float]) -> tuple[list[int], int] | None:
    """Whole numbers, and how often they were multiplied by ten; None where floats are shorter."""
    largest = max(map(abs, values))
    if all(map(float.is_integer, map(float, values))):
        return (list(map(int, values)), 0) if largest < _EXACT_BELOW else None
    for decimals in _DECIMALS_KEPT:
        factor = 10**decimals
        if largest * factor < _EXACT_BELOW:
            numbers = [round(value * factor) for value in values]
            if [number / factor for number in numbers] == values:
                return numbers, decimals
    return _rounded(values, largest)


def _rounded(values: list[float], largest: float) -> tuple[list[int], int] | None:
    rounded = [
        value if value.is_integer() else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        for value in map(float, values)
    ]
    least = min(abs(value) for value in rounded if value)
    decimals = max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(least)))
    if decimals > _MOST_DECIMALS or largest * 10**decimals >= _EXACT_BELOW:
        return None
    return [round(value * 10**decimals) for value in rounded], decimals


def _floats(numbers: Iterable[float], decimals: int) -> list[float]:
    if not decimals:
        return list(map(float, numbers))
    return list(map(truediv, numbers, repeat(10**decimals)))


class _Steps(NamedTuple):
    """Numbers as counts of a step above the least one."""

    least: int
    step: int
    counts: list[int]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Self:
        least = min(numbers, default=0)
        step = math.gcd(*(number - least for number in numbers)) or 1
        return cls(least, step, [(number - least) // step for number in numbers])

    @property
    def most(self) -> int:
        return max(self.counts, default=0)


def _whole_numbers(numbers: list[int], decimals: int, gaps: bytes) -> bytes:
    plain = _Steps.of(numbers)
    changes = _Steps.of([later - earlier for earlier, later in pairwise(numbers)])
    form, steps = (_DIFFERENCES, changes) if changes.most <= plain.most else (_PLAIN, plain)
    start = (numbers[0], steps.least, steps.step)
    largest = max(map(abs, start))
    start_width = next(width for width in _STARTS if largest < 1 << 8 * width - 1)
    width = next(width for width in _TYPES if steps.most < 1 << 8 * width)
    return b"".join(
        (
            _HEAD.pack(form | bool(gaps) << _GAPS_BIT, decimals, width | start_width << 4),
            gaps,
            _STARTS[start_width].pack(*start),
            _deflated(array(_TYPES[width], steps.counts)),
        )
    )


def _plain_floats(values: list[float], gaps: bytes) -> bytes:
    head = _HEAD.pack(_FLOATS | bool(gaps) << _GAPS_BIT, 0, 0)
    return head + gaps + _deflated(array("d", values))


def _deflated(items: "array[int] | array[float]") -> bytes:
    """The bytes of the items: the first one of each, then all second ones, and so on."""
    raw, width = items.tobytes(), items.itemsize
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return packer.compress(b"".join(raw[one::width] for one in range(width))) + packer.flush()


def _inflated(planes: bytes, width: int, typecode: str) -> Sequence[Any]:
    planes = zlib.decompress(planes, _WINDOW_BITS)
    if width == 1:
        return planes
    length, odd = divmod(len(planes), width)
    if odd:
        raise ValueError("its bytes do not make whole numbers")
    raw = bytearray(len(planes))
    for place in range(width):
        raw[place::width] = planes[place * length : (place + 1) * length]
    items = array(typecode)
    items.frombytes(raw)
    return items


def _bitmap(column: Sequence[float]) -> bytes:
    bits = "".join("1" if value == value else "0" for value in column)
    return int(bits, 2).to_bytes(_bitmap_length(len(column)), "big")


def _bitmap_length(rows: int) -> int:
    return (rows + 7) // 8


_Parts: TypeAlias = tuple[list[bool] | None, Sequence[float], int]
"""Which values are there, those, and how often they were multiplied by ten."""


def _parts(blob: bytes, rows: int) -> _Parts:
    try:
        return _undamaged_parts(blob, rows)
    except (zlib.error, struct.error, LookupError, ValueError) as error:
        raise CodecError(f"a packed column of {len(blob)} bytes is damaged: {error}") from None


def _undamaged_parts(blob: bytes, rows: int) -> _Parts:
    form, decimals, widths = _HEAD.unpack_from(blob)
    place = _HEAD.size
    present = None
    if form >> _GAPS_BIT:
        bits = int.from_bytes(blob[place : place + _bitmap_length(rows)], "big")
        present = [bit == "1" for bit in f"{bits:0{rows}b}"]
        place += _bitmap_length(rows)
    form &= (1 << _GAPS_BIT) - 1
    values: Sequence[float]
    if form == _FLOATS:
        values = list(_inflated(blob[place:], 8, "d"))
    else:
        values = list(_numbers(blob, place, form, widths))
    if len(values) != (rows if present is None else sum(present)):
        raise ValueError("it has another number of values than it says")
    return present, values, decimals


def _numbers(blob: bytes, place: int, form: int, widths: int) -> Iterable[int]:
    start = _STARTS[widths >> 4]
    first, least, step = start.unpack_from(blob, place)
    width = widths & 0xF
    numbers: Iterable[int] = _inflated(blob[place + start.size :], width, _TYPES[width])
    # Mapped rather than looped over: a week of one series is a quarter of a million steps.
    if step != 1:
        numbers = map(mul, numbers, repeat(step))
    if least:
        numbers = map(add, numbers, repeat(least))
    if form == _DIFFERENCES:
        return accumulate(numbers, initial=first)
    if form == _PLAIN:
        return numbers
    raise ValueError(f"unknown form {form}")
