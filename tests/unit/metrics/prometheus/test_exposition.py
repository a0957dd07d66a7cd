"""The page for Prometheus: what it says of readings, and that promtool finds nothing wrong."""

import math
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.declarations import haproxy, monitor, postgresql, redis, service, unit
from stellwerk.metrics.exposition import Exposition, Total
from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.model import Kind, Sample, Series, Source
from stellwerk.metrics.prometheus.names import exposed_name
from stellwerk.metrics.reading import Observed, Reading, State
from stellwerk.metrics.registry import METRICS
from tests.unit.metrics.prometheus.checkers import Checker

REQUESTS = service.REQUEST.series("shop", endpoint="GET /api/orders")


def reading(
    *samples: Sample, observed: Iterable[Observed] = (), state: State = State.UP
) -> Reading:
    return Reading(Source.POSTGRESQL, "PostgreSQL", 0.0, 0.0, state, None, samples, tuple(observed))


def page(*readings: Reading, totals: Iterable[Total] = ()) -> list[str]:
    return Exposition().page(readings, totals).splitlines()


def histogram(*seconds: float) -> Histogram:
    found = Histogram()
    for one in seconds:
        found.add(one)
    return found


def full() -> tuple[list[Reading], list[Total]]:
    """A sample of every metric there is, and numbers that services call as they like."""
    named = ["queue_lag_ms", "orders_total", "items.count", "9 lives", "cache_mb", "checksum"]
    series = [
        *(one.series(**dict.fromkeys(one.labels, 'a "\\\n'))
          for one in METRICS if one.kind is not Kind.DISTRIBUTION),
        *(service.own(name).series("shop", instance="shop@8501") for name in named),
    ]  # fmt: skip
    observed = [Observed(REQUESTS, histogram(0.1, 0.2))]
    readings = [reading(*(Sample(one, 1.5) for one in series), observed=observed)]
    return readings, [Total(REQUESTS, 7, 1.25)]


@pytest.mark.programs
def test_promtool_finds_nothing_to_say(promtool: Checker) -> None:
    readings, totals = full()
    text = Exposition().page(readings, totals)
    assert promtool.passes("check", "metrics", "--extended", given=text).count("\n") > len(METRICS)
    assert promtool.passes("check", "metrics", given=text) == ""


def test_values_are_in_base_units_and_counters_are_totals() -> None:
    instance = {"instance": "shop@8501"}
    lines = page(
        reading(
            Sample(postgresql.CONNECTIONS.series(), 70.0),
            Sample(postgresql.PROBE_QUERY.series(), 1.5),
            Sample(unit.MEMORY.series("shop", **instance), 2.0),
            Sample(unit.CPU.series("shop", **instance), 12.25),
            Sample(haproxy.REQUESTS.series("shop", backend="shop_app"), 2.0**52 + 1),
        )
    )
    assert 'stellwerk_postgresql_connections_ratio{service="postgresql"} 0.7' in lines
    assert 'stellwerk_postgresql_probe_query_seconds{service="postgresql"} 0.0015' in lines
    labels = '{service="shop",instance="shop@8501"}'
    assert f"stellwerk_unit_memory_bytes{labels} 2097152" in lines
    assert f"stellwerk_unit_cpu_seconds_total{labels} 12.25" in lines
    (requests,) = (line for line in lines if line.startswith("stellwerk_haproxy_requests_total{"))
    assert float(requests.rpartition(" ")[2]) == 2**52 + 1


def test_the_state_of_every_source_is_one_of_all_that_there_are() -> None:
    found = reading(Sample(redis.AVAILABILITY.series(port="6379"), 0.0), state=State.FROZEN)
    states = [line for line in page(found) if line.startswith(exposed_name(monitor.STATE) + "{")]
    assert len(states) == len(State)
    (present,) = (line for line in states if line.endswith(" 1"))
    assert 'source="postgresql",subject="PostgreSQL",state="frozen"' in present


def test_percentiles_are_of_what_was_seen_last_and_totals_of_all() -> None:
    durations = histogram(*(0.001 * one for one in range(1, 101)))
    lines = page(
        reading(observed=[Observed(REQUESTS, durations)]), totals=[Total(REQUESTS, 300, 9)]
    )
    name, labels = "stellwerk_service_request_seconds", 'service="shop",endpoint="GET /api/orders"'
    (p95,) = (line for line in lines if 'quantile="0.95"' in line)
    head, _, value = p95.rpartition(" ")
    assert head == f'{name}{{{labels},quantile="0.95"}}'
    assert float(value) == pytest.approx(0.095, rel=0.01)
    assert f"{name}_count{{{labels}}} 300" in lines
    assert f"# TYPE {name} summary" in lines


def test_where_nothing_was_seen_there_is_no_percentile_and_no_zero() -> None:
    lines = page(reading(), totals=[Total(REQUESTS, 300, 9.0)])
    assert not [line for line in lines if "quantile" in line]
    labels = '{service="shop",endpoint="GET /api/orders"}'
    assert f"stellwerk_service_request_seconds_count{labels} 300" in lines


def test_what_is_no_number_is_not_there() -> None:
    samples = [Sample(postgresql.CONNECTIONS.series(), value) for value in (math.nan, math.inf)]
    assert not [line for line in page(reading(*samples)) if "connections" in line]


def test_of_two_numbers_with_one_name_the_first_stays() -> None:
    own = (service.own(name).series("shop", instance="a") for name in ("lag_ms", "lag_seconds"))
    lines = page(reading(*(Sample(series, 5.0) for series in own)))
    assert [line for line in lines if line.startswith("stellwerk_own_")] == [
        'stellwerk_own_lag_seconds{service="shop",instance="a"} 0.005'
    ]


def test_a_second_page_has_what_is_known_then() -> None:
    exposition = Exposition()
    first, second = postgresql.CONNECTIONS.series(), postgresql.PROBE_QUERY.series()
    exposition.page([reading(Sample(first, 1.0), Sample(second, 1.0))], ())
    text = exposition.page([reading(Sample(second, 2.0))], ())
    assert "connections" not in text
    assert 'probe_query_seconds{service="postgresql"} 0.002' in text


def test_every_declared_metric_has_a_name_of_its_own() -> None:
    names = [exposed_name(one) for one in (*METRICS, monitor.STATE)]
    assert len(set(names)) == len(names)


_LINE = re.compile(r'[a-z_0-9]+\{([a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\} [-+.e0-9]+')


@given(st.text(), st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_labels_and_names_say_every_line_is_one(
    label: str, name: str, value: float
) -> None:
    samples = [
        Sample(Series(redis.CLIENTS, label, (("port", label),)), value),
        Sample(service.own(name).series("shop", instance=label), value),
    ]
    text = Exposition().page([reading(*samples)], ())
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    assert all(_LINE.fullmatch(line) for line in lines)
    assert len(lines) == len(samples) + len(State)
