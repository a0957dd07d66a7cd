"""Metrics of nginx, per upstream; those with `backend` come from its access log."""

from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit

_BACKEND: Final = ("backend",)

AVAILABILITY: Final = Metric(
    Source.NGINX, "availability", Unit.FLAG, "1 while nginx answers, otherwise 0."
)
REQUESTS: Final = Metric(
    Source.NGINX,
    "requests_per_second",
    Unit.PER_SECOND,
    "Requests to an upstream.",
    Kind.COUNTER,
    labels=_BACKEND,
    baseline=BaselineOf(None, "requests", ("sustained",)),
)
RESPONSE_TIME: Final = Metric(
    Source.NGINX,
    "response_time_ms",
    Unit.MILLISECONDS,
    "Average response time of an upstream's requests since the last collection.",
    labels=_BACKEND,
)
ERRORS: Final = Metric(
    Source.NGINX,
    "errors_per_second",
    Unit.PER_SECOND,
    "Requests to an upstream that were answered with 5xx or not at all.",
    Kind.COUNTER,
    labels=_BACKEND,
)
ERROR_RATE: Final = Metric(
    Source.NGINX,
    "error_percent",
    Unit.PERCENT,
    "Errors in the requests to an upstream since the last collection.",
    labels=_BACKEND,
)
CONNECTIONS: Final = Metric(
    Source.NGINX, "connections", Unit.NUMBER, "Open connections of clients, idle ones as well."
)
QUEUE: Final = Metric(
    Source.NGINX,
    "queue_length",
    Unit.NUMBER,
    "Requests that nginx has begun and not finished: it has no queue of its own.",
)

METRICS: Final = (
    AVAILABILITY,
    REQUESTS,
    RESPONSE_TIME,
    ERRORS,
    ERROR_RATE,
    CONNECTIONS,
    QUEUE,
)
