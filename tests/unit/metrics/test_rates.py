"""Rates of counters and shares of two."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.declarations import redis, system, unit
from stellwerk.metrics.model import Metric, Sample
from stellwerk.metrics.rates import Rates, Share

SENT = system.NETWORK_SENT.series()
LOAD = system.LOAD.series()


def rate(metric: Metric, first: float, second: float, seconds: float = 15) -> float | None:
    series = metric.series(**dict.fromkeys(metric.labels, "x"))
    rates = Rates()
    assert list(rates.kept([Sample(series, first)], 100)) == []
    return next((one.value for one in rates.kept([Sample(series, second)], 100 + seconds)), None)


@pytest.mark.parametrize(
    ("metric", "total", "expected"),
    [
        (system.NETWORK_SENT, 3000, 200),  # bytes -> bytes per second
        (redis.EVICTIONS, 1, 240),  # evictions -> per hour
        (unit.CPU, 7.5, 50),  # seconds of CPU -> percent of a core
    ],
    ids=lambda value: value.key if isinstance(value, Metric) else None,
)
def test_a_rate_is_in_the_unit_of_its_metric(metric: Metric, total: float, expected: float) -> None:
    assert rate(metric, 1000, 1000 + total) == pytest.approx(expected)


def test_a_counter_that_falls_has_no_rate_and_begins_anew() -> None:
    rates = Rates()
    looks = [(0, 500), (10, 600), (20, 30), (30, 80)]
    kept = [[one.value for one in rates.kept([Sample(SENT, total)], at)] for at, total in looks]
    assert kept == [[], [10], [], [5]]


@given(st.lists(st.floats(min_value=0, max_value=1e15), min_size=2))
def test_no_rate_is_negative(totals: list[float]) -> None:
    rates = Rates()
    for at, total in enumerate(totals):
        assert all(one.value >= 0 for one in rates.kept([Sample(SENT, total)], at))


def test_no_rate_where_no_time_went_by() -> None:
    assert rate(system.NETWORK_SENT, 0, 10, seconds=0) is None


def test_a_counter_unseen_for_hours_begins_anew() -> None:
    rates = Rates()
    list(rates.kept([Sample(SENT, 0)], 0))
    list(rates.kept([Sample(LOAD, 1)], 7200))
    assert list(rates.kept([Sample(SENT, 1000)], 7201)) == []


def test_gauges_pass_and_what_is_no_number_does_not() -> None:
    samples = [Sample(LOAD, 0.5), Sample(LOAD, math.nan), Sample(SENT, math.inf)]
    assert list(Rates().kept(samples, 0)) == [Sample(LOAD, 0.5)]


def test_a_share_is_of_what_happened_since_the_last_look() -> None:
    share = Share()
    assert share.percent(1_000_000, 0) is None
    assert share.percent(1_000_030, 10) == 75
    assert share.percent(1_000_030, 10) is None  # nothing was read: nothing is known
    assert share.percent(3, 1) is None  # restarted
    assert share.percent(4, 4) == 25
