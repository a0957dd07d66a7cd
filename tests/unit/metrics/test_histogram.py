"""Quantiles, and adding up."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.metrics.histogram import RELATIVE_ERROR, SMALLEST_SECONDS, Histogram

durations = st.floats(min_value=SMALLEST_SECONDS, max_value=100_000, allow_nan=False)
shares = st.floats(min_value=0, max_value=1)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def nearest_rank(values: list[float], share: float) -> float:
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@settings(deadline=None)
@given(st.lists(durations, min_size=1), shares)
def test_a_quantile_is_within_the_stated_error_of_the_exact_one(
    values: list[float], share: float
) -> None:
    quantile = filled(values).quantile(share)
    assert quantile == pytest.approx(nearest_rank(values, share), rel=RELATIVE_ERROR * 1.000001)


@settings(deadline=None)
@given(st.lists(durations), st.lists(durations))
def test_merged_histograms_are_the_histogram_of_all_values(
    some: list[float], others: list[float]
) -> None:
    merged, together = filled(some), filled(some + others)
    merged.merge(filled(others))
    assert merged.count == together.count
    assert merged.total == pytest.approx(together.total)
    for share in (0.0, 0.5, 0.95, 0.99, 1.0):
        assert merged.quantile(share) == together.quantile(share)


@settings(deadline=None)
@given(st.lists(durations))
def test_packing_loses_nothing(values: list[float]) -> None:
    histogram = filled(values)
    assert Histogram.unpacked(histogram.packed()) == histogram


def test_an_empty_histogram_has_no_figures() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().mean is None


def test_lowest_and_highest_are_exact() -> None:
    histogram = filled([0.0123, 0.5, 7.77])
    assert (histogram.quantile(0), histogram.quantile(1)) == (0.0123, 7.77)


def test_what_is_too_short_to_measure_counts_as_the_shortest() -> None:
    histogram = filled([0.0, 0.0])
    assert histogram.count == 2
    assert histogram.quantile(0.5) == 0.0
