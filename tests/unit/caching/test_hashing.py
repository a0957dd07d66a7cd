"""The digest of a calculation's inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.caching.errors import UnsupportedValueError
from stellwerk.caching.hashing import digest


@dataclass
class Position:
    symbol: str
    shares: int


DISTINCT = [
    *(1, True, "1", 1.0, Decimal(1), Decimal("1.0"), b"1", None, "", [], (), {}, set()),
    *([1], (1,), {1}, {1: 1}, {"1": 1}, [[1]], ["a", "b"], ["ab"], [("a",), "b"]),
    *(date(2024, 1, 15), datetime(2024, 1, 15, tzinfo=UTC), "2024-01-15"),
    *(Position("A", 1), Position("A", 2), {"symbol": "A", "shares": 1}),
]


def test_inputs_that_differ_only_in_type_have_different_digests() -> None:
    for one, other in combinations(DISTINCT, 2):
        assert digest({"x": one}) != digest({"x": other}), (one, other)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.floats(), max_size=6))
def test_the_order_of_inputs_does_not_matter(inputs: Mapping[str, object]) -> None:
    assert digest(inputs) == digest(dict(reversed(list(inputs.items()))))


def test_a_name_and_its_value_cannot_trade_places() -> None:
    assert digest({"a": "b"}) != digest({"b": "a"})


def test_what_has_no_digest_is_refused() -> None:
    with pytest.raises(UnsupportedValueError, match="object"):
        digest({"x": object()})


def test_the_digest_is_the_same_in_every_process_and_release() -> None:
    assert digest({"portfolio": 42, "rate": Decimal("0.05")}) == "413c00713ab7dda37791a52349bdb0f4"
