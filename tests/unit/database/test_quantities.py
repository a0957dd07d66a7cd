"""Memory and time are read and written as PostgreSQL does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.quantities import QuantityError, in_base_unit, parse_bytes, render_bytes


@given(st.integers(0, 2**50))
def test_bytes_survive_being_written_and_read(count: int) -> None:
    assert parse_bytes(render_bytes(count), "B") == count


@pytest.mark.parametrize(
    ("count", "text"),
    [(2**30, "1GB"), (256 * 2**20, "256MB"), (1984 * 2**10, "1984kB"), (1000, "1000B"), (0, "0B")],
)
def test_bytes_are_written_in_the_largest_unit_that_divides_them(count: int, text: str) -> None:
    assert render_bytes(count) == text


@pytest.mark.parametrize(
    ("text", "base_unit", "count"),
    [
        ("16384", "8kB", 2**27),
        ("4096", "kB", 2**22),
        ("1.5GB", "kB", 3 * 2**29),
        (" 1 MB ", "B", 2**20),
    ],
)
def test_a_bare_number_counts_in_the_settings_own_unit(
    text: str, base_unit: str, count: int
) -> None:
    assert parse_bytes(text, base_unit) == count


@pytest.mark.parametrize("text", ["16mb", "16 KB", "1min", "8kB8kB", "MB", "", "lots"])
def test_what_postgresql_would_not_read_as_memory_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        parse_bytes(text, "kB")


@pytest.mark.parametrize(
    ("text", "base_unit", "number"),
    [("256MB", "8kB", 32768), ("15min", "s", 900), ("1min", "ms", 60_000), ("0.9", None, 0.9)],
)
def test_quantities_are_counted_in_the_servers_unit(
    text: str, base_unit: str | None, number: float
) -> None:
    assert in_base_unit(text, base_unit) == number


@pytest.mark.parametrize(("text", "base_unit"), [("1MB", "s"), ("1min", "kB"), ("1s", None)])
def test_memory_is_not_counted_in_seconds(text: str, base_unit: str | None) -> None:
    with pytest.raises(QuantityError):
        in_base_unit(text, base_unit)
