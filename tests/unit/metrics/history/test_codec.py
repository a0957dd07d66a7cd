"""Columns of numbers, packed and unpacked."""

import math
import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.history.codec import SIGNIFICANT_DIGITS, CodecError, pack, total, unpack

GAP = math.nan
ROUNDING = 0.5 * 10 ** (1 - SIGNIFICANT_DIGITS)
whole = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1).map(float)
short_decimals = st.integers(min_value=-(10**9), max_value=10**9).map(lambda number: number / 1000)
finite = st.floats(allow_nan=False, allow_infinity=False)
gaps = st.just(GAP)


def columns(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(values | gaps, min_size=1, max_size=60)


def unpacked(column: list[float]) -> list[float]:
    """The column after a return trip, with its gaps."""
    packed = pack(column)
    if not packed.number:
        return [GAP] * len(column)
    return unpack(packed.blob, len(column), packed.lowest).with_gaps()


def same(first: float, second: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second))


@given(columns(whole) | columns(short_decimals))
def test_whole_numbers_and_short_decimals_come_back_as_they_were(column: list[float]) -> None:
    assert all(map(same, unpacked(column), column))


@given(columns(finite))
def test_others_come_back_within_the_stated_rounding(column: list[float]) -> None:
    for back, value in zip(unpacked(column), column, strict=True):
        assert same(back, value) or abs(back - value) <= abs(value) * ROUNDING * (1 + 1e-9)


@given(columns(finite))
def test_a_column_says_how_many_values_it_has_and_the_least(column: list[float]) -> None:
    packed = pack(column)
    back = [value for value in unpacked(column) if not math.isnan(value)]
    assert packed.number == len(back)
    assert packed.lowest == min(back, default=0)


@given(columns(whole) | columns(short_decimals))
def test_the_sum_of_a_column_is_that_of_its_values(column: list[float]) -> None:
    packed = pack(column)
    values = [value for value in unpacked(column) if not math.isnan(value)]
    if packed.number:
        number, whole_sum = total(packed.blob, len(column), packed.lowest)
        assert number == len(values)
        assert whole_sum == pytest.approx(math.fsum(values))


def test_a_column_of_one_value_takes_no_bytes() -> None:
    assert pack([12.5] * 240).blob == b""


@pytest.mark.parametrize(
    ("what", "step", "decimals", "bytes_per_value"),
    [("a slow walk of 2 decimals", 0.2, 2, 1.2), ("a wild one of 3 decimals", 5, 3, 2.3)],
)
def test_a_random_walk_takes_little_more_than_its_randomness(
    what: str, step: float, decimals: int, bytes_per_value: float
) -> None:
    chance = random.Random(what)
    value, column = 50.0, []
    for _ in range(240):
        value += chance.gauss(0, step)
        column.append(round(value, decimals))
    assert len(pack(column).blob) / 240 <= bytes_per_value


def test_what_rises_by_steps_of_a_page_is_kept_in_pages() -> None:
    column = [(1000 + place * place % 7) * 4096 / 1024**2 for place in range(240)]
    assert len(pack([value * 1024**2 for value in column]).blob) < 60


def test_infinity_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        pack([1.0, math.inf])


@given(st.binary(min_size=1, max_size=40))
def test_damaged_bytes_never_do_worse_than_be_named(blob: bytes) -> None:
    with suppress(CodecError):
        total(blob, 8, 0.0)
    with suppress(CodecError):
        unpack(blob, 3, 0.0)


def test_a_cut_column_is_named() -> None:
    blob = pack([1.0, 2.5, GAP, 4.25]).blob
    for length in range(1, len(blob)):
        with pytest.raises(CodecError):
            unpack(blob[:length], 4, 1.0)
