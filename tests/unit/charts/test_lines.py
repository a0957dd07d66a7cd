"""Axes of charts have round numbers that are right as they are written."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.charts.lines import Chart, Line, svg


def labels(most: float) -> list[str]:
    """The numbers beside a chart whose highest value is `most`, from below."""
    drawn = svg(Chart("Load", "per second", [Line("load", [(0, 0.0), (1, most)])], []))
    return re.findall(r'<text class="y"[^>]*>([^<]*)</text>', drawn)


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (0, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (5, ["0", "1", "2", "3", "4", "5"]),
        (6, ["0", "2", "4", "6"]),
        (1.2, ["0", "0.5", "1.0", "1.5"]),
        (643, ["0", "200", "400", "600", "800"]),
        (4_000, ["0", "1,000", "2,000", "3,000", "4,000"]),
    ],
)
def test_an_axis_has_round_numbers(most: float, shown: list[str]) -> None:
    assert labels(most) == shown


@given(st.floats(1e-6, 1e12))
def test_the_numbers_of_an_axis_are_evenly_spaced_and_reach_the_highest_value(most: float) -> None:
    numbers = [float(one.replace(",", "")) for one in labels(most)]
    steps = [later - one for one, later in pairwise(numbers)]
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert numbers[-1] >= most * (1 - 1e-9)
    assert len(steps) <= 5
