"""Durations of requests by service and endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.collectors.requests import Requests

ENDPOINTS = ("GET /api/portfolios", "GET /api/portfolios/history", "POST /api/portfolios")


@pytest.mark.parametrize(
    ("method", "path", "endpoint"),
    [
        (b"GET", b"/api/portfolios", "GET /api/portfolios"),
        (b"GET", b"/api/portfolios/7", "GET /api/portfolios"),
        (b"GET", b"/api/portfolios/history/2024", "GET /api/portfolios/history"),
        (b"POST", b"/api/portfolios", "POST /api/portfolios"),
        (b"PUT", b"/api/portfolios", None),
        (b"GET", b"/api/portfolios-of-others", None),
        (b"GET", b"/", None),
    ],
)
def test_a_request_belongs_to_the_most_specific_endpoint_above_its_path(
    method: bytes, path: bytes, endpoint: str | None
) -> None:
    requests = Requests({"core_backend": "core"}, {"core": ENDPOINTS})
    requests.add(b"core_backend", method, path, 0.5)
    found = {one.series.label("endpoint") for one in requests.take()}
    assert found == {None} | ({endpoint} if endpoint else set())


def test_what_was_taken_is_not_told_again() -> None:
    requests = Requests({"core_backend": "core"}, {})
    requests.add(b"core_backend", b"GET", b"/", 0.5)
    (first,) = requests.take()
    assert requests.take() == []
    assert first.durations.count == 1


def test_a_backend_of_no_service_is_not_counted() -> None:
    requests = Requests({"core_backend": "core"}, {})
    requests.add(b"other", b"GET", b"/", 0.5)
    assert requests.take() == []


@given(st.lists(st.floats(0.0001, 60), min_size=1))
def test_every_request_is_in_the_percentiles_of_its_service(seconds: list[float]) -> None:
    requests = Requests({"core_backend": "core"}, {"core": ENDPOINTS})
    for number, one in enumerate(seconds):
        requests.add(b"core_backend", b"GET", b"/api/%d" % number, one)
    (found,) = requests.take()
    assert found.durations.count == len(seconds)
    assert found.durations.highest == max(seconds)
