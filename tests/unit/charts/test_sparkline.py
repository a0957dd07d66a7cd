"""Small lines without axes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.charts.sparkline import sparkline


def test_a_line_goes_from_the_lowest_value_to_the_highest() -> None:
    assert 'd="M2.0 18.0h.1L94.0 2.0"' in sparkline([5.0, 9.0])


def test_a_gap_breaks_the_line_and_a_value_alone_is_a_dot() -> None:
    path = sparkline([1.0, 2.0, None, 1.0, None])
    assert re.findall("[ML]", path.partition('d="')[2]) == ["M", "L", "M"]


def test_where_nothing_changes_the_line_is_in_the_middle() -> None:
    assert 'd="M2.0 10.0h.1L94.0 10.0"' in sparkline([7.0, 7.0])


@given(st.lists(st.none() | st.floats(-1e12, 1e12), max_size=60))
def test_a_line_stays_within_its_picture(values: list[float | None]) -> None:
    points = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", sparkline(values))
    assert len(points) == len([value for value in values if value is not None])
    assert all(0 <= float(x) <= 96 and 0 <= float(y) <= 20 for x, y in points)
