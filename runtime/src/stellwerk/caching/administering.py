"""Invalidation by hand over HTTP: who may, what was asked, and a record of it.

    POST /admin/cache/invalidate   {"patterns": [...]}, {"event": "...", "parameters": {...}} or
                                   {"tags": [...]}, with "Authorization: Bearer TOKEN"
    GET  /admin/cache/layers       what each layer takes and how it is used, with the same token
    GET  /figures                  the same of this host's processes, for its monitor
    GET  /health                   whether Redis is used now, for everybody on the host

Whatever covers every layer at once, however it is written, needs a token of its own.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import CacheError, RedisAwayError
from stellwerk.settings.caching import AdminApi
from stellwerk.settings.types import Secret

_BODY_BYTES_MAX: Final = 64 * 1024
HEALTH_PATH: Final = "/health"
FIGURES_PATH: Final = "/figures"

_logger = logging.getLogger(__name__)


class Right(IntEnum):
    """What a token allows."""

    NONE = 0
    SOME = 1
    ALL = 2


@dataclass(frozen=True)
class Request:
    """What is to be invalidated, and why. Raises ValueError from `read` where it says nothing."""

    patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    event: str = ""
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def read(cls, body: bytes) -> "Request":
        """The request that a JSON document makes. Raises ValueError."""
        document = json.loads(body)
        if not isinstance(document, dict) or not document.keys() <= _KEYS:
            raise ValueError(f"expected an object with some of {', '.join(sorted(_KEYS))}")
        found = cls(
            patterns=_texts(document, "patterns"),
            tags=_texts(document, "tags"),
            event=_text(document, "event"),
            parameters=_parameters(document),
            reason=_text(document, "reason"),
        )
        if sum(map(bool, (found.patterns, found.tags, found.event))) != 1:
            raise ValueError("expected either patterns, tags or an event")
        return found


class Record:
    """A line of JSON for each request, whatever became of it.

    Raises OSError where it cannot be written, at once and not at the first request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.open("a").close()

    def write(self, who: str, outcome: str, asked: object) -> None:
        """Note a request."""
        line = {"at": datetime.now(UTC).isoformat(), "who": who, "outcome": outcome, "asked": asked}
        with self._path.open("a") as record:
            record.write(json.dumps(line) + "\n")


class Administration:
    """Answers the requests."""

    def __init__(self, settings: AdminApi, cache: Cache, note: Callable[..., None]) -> None:
        self._settings = settings
        self._cache = cache
        self._note = note

    def web_application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=_BODY_BYTES_MAX)
        application.router.add_post(self._settings.path, self._invalidate)
        application.router.add_get(layers_path(self._settings), self._layers)
        application.router.add_get(FIGURES_PATH, self._figures)
        application.router.add_get(HEALTH_PATH, self._health)
        return application

    async def _invalidate(self, request: web.Request) -> web.Response:
        right = self._right(request)
        if right is Right.NONE:
            return self._answer(request, HTTPStatus.UNAUTHORIZED, "The token is not right.", None)
        body = await request.read()
        try:
            asked = Request.read(body)
            patterns = self._patterns(asked)
        except (ValueError, RecursionError, CacheError) as error:
            shown = body[:1000].decode(errors="replace")
            return self._answer(request, HTTPStatus.BAD_REQUEST, f"{error}", shown)
        said = json.loads(body)
        if right is not Right.ALL and self._cache.covers_all(patterns):
            refusal = "Invalidating every layer at once needs the token for that."
            return self._answer(request, HTTPStatus.FORBIDDEN, refusal, said)
        try:
            done = await self._cache.invalidate(*patterns)
            done = await self._cache.invalidate_tags(*asked.tags) and done
        except CacheError as error:
            return self._answer(request, HTTPStatus.BAD_REQUEST, f"{error}", said)
        if done:
            return self._answer(request, HTTPStatus.OK, "Invalidated.", said)
        waits = "Redis is away: it is done before this daemon uses it again."
        return self._answer(request, HTTPStatus.ACCEPTED, waits, said)

    async def _layers(self, request: web.Request) -> web.Response:
        if self._right(request) is Right.NONE:
            return self._answer(request, HTTPStatus.UNAUTHORIZED, "The token is not right.", None)
        return await self._layers_of(of_this_host=False)

    async def _figures(self, request: web.Request) -> web.Response:
        del request
        return await self._layers_of(of_this_host=True)

    async def _layers_of(self, *, of_this_host: bool) -> web.Response:
        """What is counted in each layer, and the memory of those that have a budget."""
        try:
            memory = await self._cache.memory()
            counted = await self._cache.totals(of_this_host=of_this_host)
        except RedisAwayError as error:
            return web.json_response({"error": str(error)}, status=HTTPStatus.SERVICE_UNAVAILABLE)
        layers = {
            name: {**memory.get(name, {}), **counted.get(name, {})}
            for name in dict.fromkeys((*memory, *sorted(counted)))
        }
        return web.json_response({"layers": layers})

    async def _health(self, request: web.Request) -> web.Response:
        """The daemon is well where Redis is away: it goes on when Redis is back."""
        del request
        return web.json_response({"status": "ok", "redis": self._cache.connected})

    def _patterns(self, asked: Request) -> tuple[str, ...]:
        if asked.event:
            return tuple(self._cache.patterns(asked.event, asked.parameters))
        return asked.patterns

    def _right(self, request: web.Request) -> Right:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Right.NONE
        if _is_token(token, self._settings.token_for_all):
            return Right.ALL
        return Right.SOME if _is_token(token, self._settings.token) else Right.NONE

    def _answer(
        self, request: web.Request, status: HTTPStatus, sentence: str, asked: object
    ) -> web.Response:
        """Answer, but not before it is on record."""
        who = request.remote or "unknown"
        self._note(who, f"{status.value} {sentence}", asked)
        _logger.info("%s asked for an invalidation: %s", who, sentence)
        key = "done" if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED) else "error"
        return web.json_response({key: sentence}, status=status)


def layers_path(settings: AdminApi) -> str:
    """Where the layers are listed: beside the path of invalidation."""
    return f"{settings.path.rpartition('/')[0]}/layers"


_KEYS: Final = frozenset({"patterns", "tags", "event", "parameters", "reason"})


def _is_token(given: str, token: Secret) -> bool:
    """Whether it is the token, in a time that does not tell how much of it was right."""
    if not token.given:
        return False
    return hmac.compare_digest(
        given.encode(errors="surrogateescape"), token.get_secret_value().encode()
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"expected {key} to be text")
    return value


def _texts(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise ValueError(f"expected {key} to be a list of texts")
    return tuple(values)


def _parameters(document: Mapping[str, Any]) -> dict[str, str | int]:
    values = document.get("parameters", {})
    if not isinstance(values, dict) or not all(type(one) in (str, int) for one in values.values()):
        raise ValueError("expected parameters to be an object of texts and whole numbers")
    return values
