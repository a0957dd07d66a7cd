"""Columns of numbers in few bytes. Pure.

Whole numbers below 2**53, and numbers with at most three decimals, come back as they were; others
are kept to SIGNIFICANT_DIGITS. NaN stands for no value.

A column is scaled to whole numbers. Those, or their differences where they vary less, are counted
in steps above the least of them, split into planes of bytes, as the high bytes of neighbours are
alike, and deflated.
"""

import math
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

SIGNIFICANT_DIGITS: Final = 5
"""Of numbers that are neither whole nor short decimals: an error of at most 0.005 %."""

_DECIMALS_KEPT: Final = (2, 3)
_MOST_DECIMALS: Final = 22  # 10**22 is the last power of ten that a float holds exactly
_EXACT_BELOW: Final = 2**53
_PLAIN, _DIFFERENCES, _FLOATS = range(3)
_GAPS: Final = 0x80  # beside the form: a bitmap says which values are there
_TYPES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
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
        form, body = (_FLOATS, _planes(array("d", values))) if scaled is None else _steps(*scaled)
        gaps = _bitmap(column) if has_gaps else b""
        blob = bytes((form | (_GAPS if has_gaps else 0),)) + gaps + body
    return Packed(len(values), lowest, blob)


def unpack(blob: bytes, rows: int, lowest: float) -> Column:
    """The column of so many rows that was packed. CodecError if it cannot be."""
    if not blob:
        return Column([lowest] * rows, None)
    try:
        return _unpacked(_Reader(blob), rows)
    except (zlib.error, LookupError, ValueError) as error:
        raise CodecError(f"a packed column of {len(blob)} bytes is damaged: {error}") from None


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


def _floats(numbers: Sequence[int], decimals: int) -> list[float]:
    if not decimals:
        return list(map(float, numbers))
    factor = 10**decimals
    return [number / factor for number in numbers]


def _steps(numbers: list[int], decimals: int) -> tuple[int, bytes]:
    """The form, and a body that says: decimals, first number, least, step, counts of steps."""
    differences = [later - earlier for earlier, later in pairwise(numbers)]
    plain, changes = _counted(numbers), _counted(differences)
    form, (least, step, counts) = min(
        (_DIFFERENCES, changes), (_PLAIN, plain), key=lambda one: max(one[1][2], default=0)
    )
    head = b"".join(map(_number, (decimals, numbers[0], least, step)))
    return form, head + _planes(_narrow(counts))


def _counted(numbers: list[int]) -> tuple[int, int, list[int]]:
    """The least number, the step between all of them, and how many steps each is above."""
    least = min(numbers, default=0)
    step = math.gcd(*(number - least for number in numbers)) or 1
    return least, step, [(number - least) // step for number in numbers]


def _narrow(counts: list[int]) -> "array[int]":
    most = max(counts, default=0)
    width = next(width for width in _TYPES if most < 1 << 8 * width)
    return array(_TYPES[width], counts)


def _planes(items: "array[int] | array[float]") -> bytes:
    """The width of the items and their bytes: all first ones, all second ones, deflated."""
    raw, width = items.tobytes(), items.itemsize
    packer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    planes = b"".join(raw[place::width] for place in range(width))
    return bytes((width,)) + packer.compress(planes) + packer.flush()


def _bitmap(column: Sequence[float]) -> bytes:
    bits = int("".join("1" if value == value else "0" for value in column), 2)
    raw = zlib.compress(bits.to_bytes((len(column) + 7) // 8, "big"))
    return _number(len(raw)) + raw


def _number(number: int) -> bytes:
    raw = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return bytes((len(raw),)) + raw


class _Reader:
    """Takes a blob apart from its beginning on. IndexError where it ends too early."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._place = 0

    def take(self, length: int) -> bytes:
        end = self._place + length
        if end > len(self._blob):
            raise IndexError("it ends too early")
        taken = self._blob[self._place : end]
        self._place = end
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(self.take(1)[0]), "little", signed=True)

    def counts(self) -> "array[int]":
        items: array[int] = array(_TYPES[self._blob[self._place]])
        items.frombytes(self._joined())
        return items

    def floats(self) -> "array[float]":
        items = array("d")
        items.frombytes(self._joined())
        return items

    def _joined(self) -> bytearray:
        width = self.take(1)[0]
        planes = zlib.decompress(self._blob[self._place :], _WINDOW_BITS)
        length = len(planes) // width
        raw = bytearray(len(planes))
        for place in range(width):
            raw[place::width] = planes[place * length : (place + 1) * length]
        return raw


def _unpacked(reader: _Reader, rows: int) -> Column:
    form = reader.take(1)[0]
    present = _present(reader, rows) if form & _GAPS else None
    values = _values(reader, form & ~_GAPS)
    if len(values) != (rows if present is None else sum(present)):
        raise ValueError("it has another number of values than it says")
    return Column(values, present)


def _present(reader: _Reader, rows: int) -> list[bool]:
    bits = int.from_bytes(zlib.decompress(reader.take(reader.number())), "big")
    return [bit == "1" for bit in f"{bits:0{rows}b}"]


def _values(reader: _Reader, form: int) -> list[float]:
    if form == _FLOATS:
        return list(reader.floats())
    decimals, first, least, step = (reader.number() for _ in range(4))
    numbers = [least + step * count for count in reader.counts()]
    if form == _DIFFERENCES:
        numbers = list(accumulate(numbers, initial=first))
    elif form != _PLAIN:
        raise ValueError(f"unknown form {form}")
    return _floats(numbers, decimals)
