"""What an instance says of its last minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.sample.measurement import Meter, health_metrics


def request(meter: Meter, at: float, seconds: float = 0.1, *, failed: bool = False) -> None:
    meter.begin("client", at)
    meter.end(at, seconds=seconds, waited=0.0, failed=failed)


def test_a_steady_rate_is_measured_as_such() -> None:
    meter = Meter(0.0)
    for tick in range(2000):
        request(meter, tick / 10)
    assert meter.measured(200.0).requests_per_second == pytest.approx(10, rel=0.02)


def test_a_young_instance_is_averaged_over_its_age() -> None:
    meter = Meter(1000.0)
    for tick in range(50):
        request(meter, 1000 + tick / 10)
    measured = meter.measured(1005.0)
    assert measured.requests_per_second == pytest.approx(10)
    assert measured.requests_per_minute == pytest.approx(600)


def test_times_and_failures_are_averaged() -> None:
    meter = Meter(0.0)
    request(meter, 10, 0.1)
    request(meter, 11, 0.3, failed=True)
    measured = meter.measured(12.0)
    assert measured.response_time_ms == pytest.approx(200)
    assert measured.error_rate == pytest.approx(50)


def test_after_a_minute_a_request_is_forgotten() -> None:
    meter = Meter(0.0)
    request(meter, 10, failed=True)
    measured = meter.measured(75.0)
    assert measured.requests_per_second == 0
    assert measured.error_rate == 0
    assert measured.clients == 0


def test_what_runs_is_in_flight_until_it_ends() -> None:
    meter = Meter(0.0)
    meter.begin("a", 1.0)
    meter.begin("b", 1.0)
    assert meter.measured(1.0).in_flight == 2
    meter.end(2.0, seconds=1.0, waited=0.5, failed=False)
    assert meter.in_flight == 1
    assert meter.measured(2.0).queue_lag_ms == pytest.approx(500)


def test_a_client_counts_once() -> None:
    meter = Meter(0.0)
    for client in ("a", "b", "a"):
        meter.begin(client, 1.0)
    assert meter.measured(2.0).clients == 2


def test_the_memory_of_clients_is_bounded() -> None:
    meter = Meter(0.0)
    for number in range(20_000):
        meter.begin(f"client {number}", 1.0)
    assert meter.measured(1.0).clients == 10_000


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 10), st.booleans()), max_size=50))
def test_averages_stay_within_what_was_measured(
    requests: list[tuple[float, float, bool]],
) -> None:
    meter = Meter(0.0)
    for at, seconds, failed in sorted(requests):
        request(meter, at, seconds, failed=failed)
    measured = meter.measured(300.0)
    assert 0 <= measured.error_rate <= 100
    assert 0 <= measured.response_time_ms <= 10_001
    assert measured.in_flight == 0


@pytest.mark.parametrize(
    ("service", "own"),
    [
        ("core", {"portfolio_calculation_queue_length", "active_trading_sessions"}),
        ("broker", {"api_calls_per_minute", "order_execution_time_ms", "api_error_rate"}),
        ("events", {"events_per_second", "queue_lag_ms", "message_processing_time_ms"}),
        ("frontend", {"concurrent_users", "page_load_time_ms", "javascript_error_rate"}),
        ("other", set()),
    ],
)
def test_each_service_has_the_metrics_of_its_scaling_rules(service: str, own: set[str]) -> None:
    metrics = health_metrics(f"aktienanalyse-{service}", Meter(0.0).measured(1.0))
    assert set(metrics) == own | {"requests_per_second", "response_time_ms", "error_rate"}
    assert all(isinstance(value, int | float) for value in metrics.values())
