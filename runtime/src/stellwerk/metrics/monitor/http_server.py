"""The least of an HTTP server: for programs of this host, and for others with a token.

Its documents are in `api`. Written small, as a server library would be a quarter of the monitor.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    import ssl

LONGEST_HEAD: Final = 16 * 1024
LONGEST_BODY: Final = 64 * 1024
MOST_CONNECTIONS: Final = 64
IDLE_SECONDS: Final = 75.0
"""How long a connection may wait for its next request: longer than Prometheus' interval."""

ANSWER_SECONDS: Final = 30.0

_WHO: Final = (
    "From another host a request needs the header Authorization: Bearer TOKEN, with"
    " monitoring.token of the settings."
)

_FOREIGN: Final = "A page of another site may not ask here."

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request that was let in."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """An answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"
    location: str = ""
    """Of a redirect, where to."""


Answer = Callable[[Request], Awaitable[Response]]


def problem(status: HTTPStatus, sentence: str) -> Response:
    """An answer that says what is wrong."""
    return document(status, {"error": sentence})


def document(status: HTTPStatus, value: Mapping[str, Any]) -> Response:
    """An answer in JSON."""
    return Response(status, (json.dumps(value, allow_nan=False) + "\n").encode())


def redirect(location: str) -> Response:
    """An answer that leads to another path."""
    return Response(HTTPStatus.FOUND, b"", "text/plain", location)


class HttpServer:
    """Answers with `answer`; without a token only this host is let in."""

    def __init__(self, answer: Answer, token: str | None) -> None:
        self._answer = answer
        self._token = token
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, address: str, port: int, tls: "ssl.SSLContext | None" = None) -> None:
        """Listen at an address too, for TLS only where it is given. Raises OSError."""
        server = await asyncio.start_server(self._serve, address, port, limit=LONGEST_HEAD, ssl=tls)
        self._servers.append(server)

    async def close(self) -> None:
        """Listen no more, and end all connections."""
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) > MOST_CONNECTIONS:
                busy = problem(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections; try again.")
                writer.write(_encoded(busy, keeps=False))
                return
            while await self._once(reader, writer):
                pass
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client is gone, or said nothing that is a request
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays."""
        async with asyncio.timeout(IDLE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        keeps = first.endswith("HTTP/1.1") and headers.get("connection", "").lower() != "close"
        peer = writer.get_extra_info("peername")[0]
        if not lets_in(peer, headers.get("authorization", ""), self._token):
            keeps, response = False, problem(HTTPStatus.UNAUTHORIZED, _WHO)
        elif is_of_another_site(headers):
            keeps, response = False, problem(HTTPStatus.FORBIDDEN, _FOREIGN)
        elif (size := _body_size(headers)) is None:
            limit = f"A body needs a Content-Length of at most {LONGEST_BODY}."
            keeps, response = False, problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit)
        else:
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await reader.readexactly(size)
            response = await self._answered(first, body)
        writer.write(_encoded(response, keeps=keeps))
        async with asyncio.timeout(ANSWER_SECONDS):
            await writer.drain()
        return keeps

    async def _answered(self, first: str, body: bytes) -> Response:
        method, _, rest = first.partition(" ")
        target, _, protocol = rest.rpartition(" ")
        if not protocol.startswith("HTTP/1.") or not target.startswith("/"):
            return problem(HTTPStatus.BAD_REQUEST, "This is no HTTP request.")
        parts = urlsplit(target)
        request = Request(unquote(parts.path), dict(parse_qsl(parts.query)), method, body)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answer(request)
        except TimeoutError:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "It takes too long; try again later.")
        except Exception:
            _logger.exception("%s %s cannot be answered", method, request.path)
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "A fault; the journal says which.")


def lets_in(address: str, authorization: str, token: str | None) -> bool:
    """Whether a client is of this host, or shows the token; without a token no other is let in."""
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return True
    shown = authorization.encode(errors="replace")
    return token is not None and compare_digest(shown, f"Bearer {token}".encode())


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site has an operator's browser ask, which a tunnel brings to this
    host: it names that site as its origin or, where the site's name was made to lead here, as host.
    """
    host = headers.get("host", "")
    if headers.get("origin", f"http://{host}").partition("://")[2] != host:
        return True
    if "authorization" in headers or not host:
        return False
    name = host.removeprefix("[").partition("]")[0] if "]" in host else host.partition(":")[0]
    return name != "localhost" and not _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _body_size(headers: Mapping[str, str]) -> int | None:
    """How long the body is; None where that is not said, or too much."""
    given = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (given.isascii() and given.isdecimal()):
        return None
    return int(given) if int(given) <= LONGEST_BODY else None


def _encoded(response: Response, *, keeps: bool) -> bytes:
    status = response.status
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        f"Connection: {'keep-alive' if keeps else 'close'}",
    ]
    if response.location:
        lines.append(f"Location: {response.location}")
    if status is HTTPStatus.UNAUTHORIZED:
        lines.append('WWW-Authenticate: Bearer realm="stellwerk-monitor"')
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body
