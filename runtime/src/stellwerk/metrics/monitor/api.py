"""The monitor's HTTP API: which document is at which path."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from typing import Final

from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.exposition import CONTENT_TYPE, Exposition
from stellwerk.metrics.monitor import documents
from stellwerk.metrics.monitor.http_server import Request, Response, document, problem, redirect
from stellwerk.metrics.monitor.latest import Latest, observed
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.process import ReportError, Reports
from stellwerk.metrics.report.question import PAGE_PATH, Question, QuestionError
from stellwerk.metrics.report.question import PATH as REPORT_PATH

SERVICE_PATH: Final = "/api/metrics/service/"
_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=utf-8"


class Api:
    """Answers from what is known now. `is_late` tells that collections no longer come."""

    def __init__(
        self,
        host: str,
        services: Collection[str],
        latest: Latest,
        registry: Registry,
        is_late: Callable[[], bool],
        alerting: Alerting,
        reports: Reports,
    ) -> None:
        self._host = host
        self._services = services
        self._latest = latest
        self._registry = registry
        self._is_late = is_late
        self._alerting = alerting
        self._reports = reports
        self._exposition = Exposition()

    async def answer(self, request: Request) -> Response:
        """The document at a path."""
        path = request.path
        of_alerts = self._alerting.answer(request.method, path, request.body)
        if of_alerts is not None:
            return document(of_alerts.status, of_alerts.document)
        if request.method != "GET":
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{path}: only GET is answered here.")
        if path == "/health":
            return self._health()
        if path == "/metrics":
            return self._exposed()
        if path == "/api/metrics":
            return self._metrics(None)
        if path.startswith(SERVICE_PATH):
            return self._metrics(path.removeprefix(SERVICE_PATH))
        if path == REPORT_PATH:
            return await self._report(request.query, self._reports.document, _JSON)
        if path == PAGE_PATH:
            return await self._report(request.query, self._reports.page, _HTML)
        if path == "/":
            return redirect(self._first_page())
        return problem(
            HTTPStatus.NOT_FOUND,
            f"There are /health, /metrics, /api/metrics, {SERVICE_PATH}NAME, {REPORT_PATH},"
            f" {PAGE_PATH} and /api/alerts.",
        )

    def _health(self) -> Response:
        readings = list(self._latest.readings)
        late = self._is_late()
        status = HTTPStatus.SERVICE_UNAVAILABLE if late else HTTPStatus.OK
        found = documents.health(readings, time.time())
        return document(status, {"host": self._host, "status": "late" if late else "ok", **found})

    def _exposed(self) -> Response:
        if self._is_late():
            # What is old would look like new.
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "Collections no longer come.")
        readings = (one for one in self._latest.readings if self._registry.is_exposed(one.source))
        page = self._exposition.page(readings, self._latest.totals)
        return Response(HTTPStatus.OK, page.encode(), CONTENT_TYPE)

    async def _report(
        self,
        query: Mapping[str, str],
        written: Callable[[Question], Awaitable[bytes]],
        content_type: str,
    ) -> Response:
        try:
            content = await written(Question.of_query(query))
            return Response(HTTPStatus.OK, content, content_type)
        except QuestionError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except ReportError as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _first_page(self) -> str:
        """Of the whole cluster where this host knows it."""
        known = self._reports.knows_cluster
        return f"{PAGE_PATH}?{Question(cluster=True).query}" if known else PAGE_PATH

    def _metrics(self, service: str | None) -> Response:
        values = list(self._latest.values(service))
        seen = [
            one
            for one in observed(self._latest.readings)
            if service is None or one.series.service == service
        ]
        if service is not None and not values and not seen and service not in self._services:
            known = sorted({one.series.service for one in self._latest.values()})
            return problem(
                HTTPStatus.NOT_FOUND,
                f"{service}: nothing is measured of it on {self._host}; there are"
                f" {', '.join(known)}.",
            )
        found = {
            "host": self._host,
            **({} if service is None else {"service": service}),
            "status": documents.worst(values, self._registry).value,
            **documents.metrics(values, seen, self._registry, time.time()),
        }
        return document(HTTPStatus.OK, found)
