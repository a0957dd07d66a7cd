"""Metrics, series, and how values are judged."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.declarations import postgresql
from stellwerk.metrics.model import (
    NO_THRESHOLDS,
    Bound,
    Kind,
    Metric,
    Series,
    Source,
    Status,
    Thresholds,
)
from stellwerk.metrics.registry import series_by_key
from stellwerk.metrics.units import Unit

SIZE = postgresql.TABLE_SIZE
LABELS = st.text(max_size=8)


@pytest.mark.parametrize(
    ("value", "status"),
    [(79.9, Status.OK), (80, Status.WARNING), (95, Status.CRITICAL), (math.nan, Status.OK)],
)
def test_an_upper_bound_is_reached_from_below(value: float, status: Status) -> None:
    assert Thresholds(40, 80, 95).status(value) is status


@pytest.mark.parametrize(
    ("value", "status"), [(70.1, Status.OK), (70, Status.WARNING), (50, Status.CRITICAL)]
)
def test_a_lower_bound_is_reached_from_above(value: float, status: Status) -> None:
    assert Thresholds(85, 70, 50, Bound.LOWER).status(value) is status


def test_without_thresholds_everything_is_ok() -> None:
    assert NO_THRESHOLDS.status(1e9) is Status.OK
    assert not NO_THRESHOLDS.judges


@pytest.mark.parametrize(
    ("baseline", "value", "percent"),
    [(40, 50, 25), (40, 30, -25), (-10, -5, 50), (0, 5, None), (None, 5, None)],
)
def test_deviation_is_in_percent_of_the_baseline(
    baseline: float | None, value: float, percent: float | None
) -> None:
    assert Thresholds(baseline).deviation_percent(value) == percent


@given(st.lists(st.tuples(LABELS, LABELS), min_size=2, max_size=2, unique=True))
def test_series_with_different_labels_have_different_keys(pairs: list[tuple[str, str]]) -> None:
    first, second = (SIZE.series(database=database, table=table) for database, table in pairs)
    assert first != second
    assert first.key != second.key


@given(LABELS, LABELS, LABELS)
def test_a_series_is_found_by_its_key(service: str, database: str, table: str) -> None:
    series = postgresql.TABLE_SIZE.series(service or "x", database=database, table=table)
    found = series_by_key(series.key)
    assert found == series
    assert (found.service, found.labels) == (series.service, series.labels)


def test_a_series_is_the_same_however_its_labels_are_ordered() -> None:
    one = SIZE.series(table="orders", database="shop")
    other = SIZE.series(database="shop", table="orders")
    assert one == other
    assert len({one, other}) == 1
    assert one.subject == "shop orders"
    assert one.service == "postgresql"
    assert one.label("table") == "orders"
    assert one.label("host") is None


@pytest.mark.parametrize("labels", [{"database": "shop"}, {"database": "x", "tabel": "y"}])
def test_a_series_has_the_labels_of_its_metric(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"postgresql\.table_size_mb: expected labels"):
        SIZE.series(**labels)


@pytest.mark.parametrize("name", ["size", "size_kb", "Size_mb", "size__mb", "1_mb"])
def test_a_name_says_its_unit(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name in snake case that ends in 'mb'"):
        Metric(Source.SYSTEM, name, Unit.MEGABYTES, "Size.")


def test_a_counter_is_kept_as_a_rate() -> None:
    with pytest.raises(ValueError, match="expected a unit per time"):
        Metric(Source.SYSTEM, "reads", Unit.NUMBER, "Reads.", Kind.COUNTER)


def test_a_series_is_equal_to_no_other_thing() -> None:
    bare = Metric(Source.SYSTEM, "load_average", Unit.NUMBER, "Load.").series()
    assert bare == Series(bare.metric, "system", ())
    assert bare != "system"
