"""Metrics of HAProxy, per backend."""

from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit

_BACKEND: Final = ("backend",)

AVAILABILITY: Final = Metric(
    Source.HAPROXY, "availability", Unit.FLAG, "1 while HAProxy answers, otherwise 0."
)
REQUESTS: Final = Metric(
    Source.HAPROXY,
    "requests_per_second",
    Unit.PER_SECOND,
    "Requests to a backend.",
    Kind.COUNTER,
    labels=_BACKEND,
    baseline=BaselineOf(None, "requests", ("sustained",)),
)
RESPONSE_TIME: Final = Metric(
    Source.HAPROXY,
    "response_time_ms",
    Unit.MILLISECONDS,
    "Average response time of a backend's latest requests.",
    labels=_BACKEND,
)
ERRORS: Final = Metric(
    Source.HAPROXY,
    "errors_per_second",
    Unit.PER_SECOND,
    "Requests to a backend that were answered with 5xx or not at all.",
    Kind.COUNTER,
    labels=_BACKEND,
)
ERROR_RATE: Final = Metric(
    Source.HAPROXY,
    "error_percent",
    Unit.PERCENT,
    "Errors in the requests to a backend since the last collection.",
    labels=_BACKEND,
)
QUEUE: Final = Metric(
    Source.HAPROXY,
    "queue_length",
    Unit.NUMBER,
    "Requests that wait for a server of a backend.",
    labels=_BACKEND,
)
SERVERS_UP: Final = Metric(
    Source.HAPROXY,
    "servers_up",
    Unit.NUMBER,
    "Servers of a backend that get requests.",
    labels=_BACKEND,
)

METRICS: Final = (AVAILABILITY, REQUESTS, RESPONSE_TIME, ERRORS, ERROR_RATE, QUEUE, SERVERS_UP)
