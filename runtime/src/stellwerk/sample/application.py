"""The HTTP side: routes, headers, errors as JSON, and the measuring of every request. No sockets,
no signals.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from stellwerk.eventstore.errors import ConflictError
from stellwerk.sample.answer import Answers, Cache, Store
from stellwerk.sample.availability import UnavailableError
from stellwerk.sample.configuration import ServiceConfiguration
from stellwerk.sample.event_requests import LARGEST_BODY, parse_append, parse_query
from stellwerk.sample.event_requests import PARAMETERS as EVENT_PARAMETERS
from stellwerk.sample.health import Health, Phase
from stellwerk.sample.load import Calculator, ErrorShare
from stellwerk.sample.measurement import Meter, health_metrics
from stellwerk.sample.page import page
from stellwerk.sample.query import (
    COLLECTIONS,
    Collection,
    Parameters,
    QueryError,
    load_of,
    load_parameters,
    parameters,
)

_HEALTH_PATH = "/health"
_EVENTS_PATH = "/api/events"
_LONGEST_CLIENT = 64
_WAITED = web.RequestKey("waited_seconds", float)

_logger = logging.getLogger(__name__)


class SampleApplication:
    """One instance of the sample service behind HTTP. `phase` is set by whoever runs it."""

    def __init__(
        self,
        configuration: ServiceConfiguration,
        store: Store,
        cache: Cache,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phase = Phase.STARTING
        self._configuration = configuration
        self._store = store
        self._cache = cache
        self._clock = clock
        self._started = clock()
        self._meter = Meter(self._started)
        self._answers = Answers(configuration.service, store, cache)
        self._calculator = Calculator()
        self._errors = ErrorShare()
        self._page = page(configuration, socket.gethostname())
        self._load_parameters = load_parameters(configuration.switches.set_by_request)

    @property
    def health(self) -> Health:
        """The present health."""
        return Health(self.phase, self._store.availability.reach, self._cache.availability.reach)

    @property
    def in_flight(self) -> int:
        """Requests that are being answered, health checks left out."""
        return self._meter.in_flight

    def web_application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(
            middlewares=[self._measure, self._explain], client_max_size=LARGEST_BODY
        )
        application.router.add_get(_HEALTH_PATH, self._answer_health)
        application.router.add_get("/", self._answer_page)
        for collection in COLLECTIONS:
            application.router.add_get(
                f"/api/{collection.name}", partial(self._answer_collection, collection)
            )
        application.router.add_get(_EVENTS_PATH, self._answer_events)
        application.router.add_post(_EVENTS_PATH, self._append_events)
        application.on_response_prepare.append(self._set_headers)
        return application

    def close(self) -> None:
        """End what still calculates."""
        self._calculator.close()

    async def _answer_health(self, request: web.Request) -> web.Response:
        del request
        now = self._clock()
        health = self.health
        metrics = health_metrics(self._configuration.service, self._meter.measured(now))
        return web.json_response(
            health.document(self._configuration, now - self._started, metrics),
            status=200 if health.can_serve else 503,
        )

    async def _answer_page(self, request: web.Request) -> web.Response:
        given = parameters(request.query.items(), self._load_parameters)
        await self._carry_load(request, given)
        return web.Response(text=self._page, content_type="text/html")

    async def _answer_collection(
        self, collection: Collection, request: web.Request
    ) -> web.Response:
        given = parameters(request.query.items(), collection.parameters | self._load_parameters)
        query = collection.parse(given)
        await self._carry_load(request, given)
        answer = await self._answers.of(collection, query)
        return web.Response(
            body=answer.body,
            content_type="application/json",
            headers={"X-Cache": answer.source.value},
        )

    async def _answer_events(self, request: web.Request) -> web.Response:
        given = parameters(request.query.items(), EVENT_PARAMETERS | self._load_parameters)
        query = parse_query(given)
        await self._carry_load(request, given)
        body = b'{"events": %b}' % await self._store.events(query)
        return web.Response(body=body, content_type="application/json")

    async def _append_events(self, request: web.Request) -> web.Response:
        given = parameters(request.query.items(), self._load_parameters)
        wanted = parse_append(await request.read())
        await self._carry_load(request, given)
        version = await self._store.append(wanted)
        return web.json_response({"version": version}, status=HTTPStatus.CREATED)

    async def _carry_load(self, request: web.Request, given: Parameters) -> None:
        """Be as busy, slow or broken as the switches say."""
        load = load_of(given, self._configuration.switches.load)
        request[_WAITED] = await self._calculator.calculate(load.cpu_ms)
        if load.delay_ms > 0:
            await asyncio.sleep(load.delay_ms / 1000)
        if self._errors.due(load.error_share):
            raise web.HTTPInternalServerError(text="The error share makes this request fail.")

    @web.middleware
    async def _measure(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == _HEALTH_PATH:
            return await handler(request)
        began = self._clock()
        self._meter.begin(_client(request), began)
        failed = True
        try:
            response = await handler(request)
            failed = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            now = self._clock()
            waited = request.get(_WAITED, 0.0)
            self._meter.end(now, seconds=now - began, waited=waited, failed=failed)
        return response

    @web.middleware
    async def _explain(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every error as JSON with one sentence."""
        if self.phase is Phase.STARTING and request.path != _HEALTH_PATH:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "The instance is still starting.")
        try:
            return await handler(request)
        except QueryError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        except ConflictError as error:
            return _error(HTTPStatus.CONFLICT, str(error))
        except UnavailableError as error:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except web.HTTPNotFound:
            return _error(HTTPStatus.NOT_FOUND, f"There is nothing at {request.path}.")
        except web.HTTPMethodNotAllowed as error:
            allowed = ",".join(sorted(error.allowed_methods))
            response = _error(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} is only read: use {allowed}."
            )
            response.headers["Allow"] = allowed
            return response
        except web.HTTPException as error:
            return _error(error.status, error.text or error.reason)
        except Exception:
            _logger.exception("%s %s failed", request.method, request.path)
            return _error(
                HTTPStatus.INTERNAL_SERVER_ERROR, "The instance failed; its journal says why."
            )

    async def _set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        del request
        response.headers["X-Instance"] = self._configuration.label
        if self.phase is Phase.DRAINING:
            # aiohttp has settled this header before it asks us, so it is set by hand as well.
            response.headers["Connection"] = "close"
            response.force_close()


def _client(request: web.Request) -> str:
    """Whom a request comes from: the address before the balancers, where one names it."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    return (forwarded.partition(",")[0].strip() or request.remote or "")[:_LONGEST_CLIENT]


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
