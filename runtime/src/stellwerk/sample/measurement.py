"""What an instance measures of itself: requests, failures, times and clients over the last minute.

Pure bookkeeping: callers pass the time, a monotonic clock in seconds.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 60
_MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class Measured:
    """The state of one instance. Averages are over the window; an idle instance measures 0, and it
    is one.
    """

    requests_per_second: float
    requests_per_minute: float
    response_time_ms: float
    error_rate: float
    """Percent of the requests answered with a status of 500 or more."""
    queue_lag_ms: float
    """How long a request waited for its turn to calculate."""
    in_flight: int
    clients: int


def health_metrics(service: str, measured: Measured) -> dict[str, float]:
    """The numbers of the health answer: the three common ones and the service's own (specification
    2.1).

    A service is known by the last word of its name; an unknown one has the common numbers only.
    """
    own = _OWN_METRICS.get(service.rpartition("-")[2], {})
    metrics: dict[str, float] = {
        "requests_per_second": measured.requests_per_second,
        "response_time_ms": measured.response_time_ms,
        "error_rate": measured.error_rate,
    }
    metrics.update((name, value(measured)) for name, value in own.items())
    return {name: round(value, 3) for name, value in metrics.items()}


class Meter:
    """Counts requests as they come and go, in one bucket per second of the window."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._seconds: deque[_Second] = deque()
        self._clients: OrderedDict[str, float] = OrderedDict()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return self._in_flight

    def begin(self, client: str, now: float) -> None:
        """A request from `client` starts."""
        self._in_flight += 1
        self._clients[client] = now
        self._clients.move_to_end(client)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)

    def end(self, now: float, *, seconds: float, waited: float, failed: bool) -> None:
        """A request ends that took `seconds`, of which it `waited` for its turn."""
        self._in_flight -= 1
        self._forget(now)
        if not self._seconds or self._seconds[-1].second != int(now):
            self._seconds.append(_Second(int(now)))
        bucket = self._seconds[-1]
        bucket.requests += 1
        bucket.failures += failed
        bucket.time += seconds
        bucket.waited += waited

    def measured(self, now: float) -> Measured:
        """The window that ends now. A younger instance is averaged over its age, of at least one
        second.
        """
        self._forget(now)
        requests = sum(bucket.requests for bucket in self._seconds)
        span = max(1.0, now - max(self._started, _window_start(now)))
        each = max(1, requests)
        return Measured(
            requests_per_second=requests / span,
            requests_per_minute=60 * requests / span,
            response_time_ms=1000 * sum(bucket.time for bucket in self._seconds) / each,
            error_rate=100 * sum(bucket.failures for bucket in self._seconds) / each,
            queue_lag_ms=1000 * sum(bucket.waited for bucket in self._seconds) / each,
            in_flight=self._in_flight,
            clients=len(self._clients),
        )

    def _forget(self, now: float) -> None:
        start = _window_start(now)
        while self._seconds and self._seconds[0].second < start:
            self._seconds.popleft()
        while self._clients and next(iter(self._clients.values())) < start:
            self._clients.popitem(last=False)


@dataclass
class _Second:
    second: int
    requests: int = 0
    failures: int = 0
    time: float = 0.0
    waited: float = 0.0


def _window_start(now: float) -> int:
    return int(now) - WINDOW_SECONDS + 1


_OWN_METRICS: Mapping[str, Mapping[str, Callable[[Measured], float]]] = {
    "core": {
        "portfolio_calculation_queue_length": lambda measured: measured.in_flight,
        "active_trading_sessions": lambda measured: measured.clients,
    },
    "broker": {
        "api_calls_per_minute": lambda measured: measured.requests_per_minute,
        "order_execution_time_ms": lambda measured: measured.response_time_ms,
        "api_error_rate": lambda measured: measured.error_rate,
    },
    "events": {
        "events_per_second": lambda measured: measured.requests_per_second,
        "queue_lag_ms": lambda measured: measured.queue_lag_ms,
        "message_processing_time_ms": lambda measured: measured.response_time_ms,
    },
    "frontend": {
        "concurrent_users": lambda measured: measured.clients,
        "page_load_time_ms": lambda measured: measured.response_time_ms,
        "javascript_error_rate": lambda measured: measured.error_rate,
    },
}
