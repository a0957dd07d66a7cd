"""The monitor's HTTP server: who is let in, and what it makes of bad requests."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest

from stellwerk.metrics.monitor.http_server import (
    LONGEST_BODY,
    LONGEST_HEAD,
    HttpServer,
    Request,
    Response,
    document,
    is_of_another_site,
    lets_in,
    redirect,
)
from tests.unit.instances.programs import free_ports, in_a_loop


async def echo(request: Request) -> Response:
    """An answer that says what was asked."""
    if request.path == "/fault":
        raise ValueError("a mistake")
    if request.path == "/moved":
        return redirect("/elsewhere")
    asked = {"method": request.method, "path": request.path, "query": dict(request.query)}
    return document(HTTPStatus.OK, {**asked, "body": request.body.decode()})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    (port,) = free_ports(1)
    server = HttpServer(echo, None)
    await server.listen("127.0.0.1", port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, object]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(size))


@pytest.mark.parametrize(
    ("address", "authorization", "token", "expected"),
    [
        ("127.0.0.1", "", None, True),
        ("127.8.0.1", "", "secret", True),
        ("::1", "", "secret", True),
        ("192.0.2.1", "", "secret", False),
        ("192.0.2.1", "Bearer secret", "secret", True),
        ("192.0.2.1", "Bearer secret ", "secret", False),
        ("192.0.2.1", "Basic secret", "secret", False),
        ("192.0.2.1", "Bearer ", None, False),
        ("192.0.2.1", "Bearer None", None, False),
        ("fe80::1%eth0", "Bearer \xff", "secret", False),
    ],
)
def test_others_are_let_in_with_the_token_only(
    address: str, authorization: str, token: str | None, expected: bool
) -> None:
    assert lets_in(address, authorization, token) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"host": "127.0.0.1:8004"}, False),
        ({"host": "[::1]:8004"}, False),
        ({"host": "localhost:8004", "origin": "http://localhost:8004"}, False),
        ({"host": "localhost:8004", "origin": "https://example.org"}, True),
        ({"host": "localhost:8004", "origin": "http://localhost:3000"}, True),
        ({"host": "localhost:8004", "origin": "null"}, True),
        ({"host": "example.org:8004"}, True),
        ({"host": "[example"}, True),
        ({"host": "db-1:8004", "authorization": "Bearer secret"}, False),
        ({"host": "db-1", "authorization": "Bearer x", "origin": "http://other"}, True),
    ],
)
def test_pages_of_other_sites_are_told_from_operators(
    headers: dict[str, str], expected: bool
) -> None:
    assert is_of_another_site(headers) is expected


@in_a_loop
async def test_a_page_of_another_site_cannot_ask() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\n\r\n")
        status, said = await answer(reader)
    assert status == HTTPStatus.FORBIDDEN
    assert "another site" in str(said["error"])


@in_a_loop
async def test_requests_of_one_connection_are_answered_in_turn() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET /a%20b?x=1&y=2 HTTP/1.1\r\n\r\n")
        writer.write(b"POST /c HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        first, second = await answer(reader), await answer(reader)
    assert first == (
        200,
        {"method": "GET", "path": "/a b", "query": {"x": "1", "y": "2"}, "body": ""},
    )
    assert second[1]["body"] == "{}"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"HELLO\r\n\r\n", 400),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
        (b"GET /fault HTTP/1.1\r\n\r\n", 500),
    ],
)
def test_bad_requests_are_told_what_is_wrong(request_: bytes, status: int) -> None:
    @in_a_loop
    async def told() -> None:
        async with connected() as (reader, writer):
            writer.write(request_)
            found, said = await answer(reader)
        assert found == status
        assert set(said) == {"error"}

    told()


@in_a_loop
async def test_a_browser_is_led_to_where_the_answer_is() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET /moved HTTP/1.1\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    assert head[0] == "HTTP/1.1 302 Found"
    assert {"Location: /elsewhere", "Content-Length: 0"} <= set(head)


@in_a_loop
async def test_an_endless_head_ends_the_connection() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nX: " + LONGEST_HEAD * 2 * b"x")
        with contextlib.suppress(ConnectionError):  # what was not read makes it a reset
            assert await reader.read() == b""


@in_a_loop
async def test_a_client_that_is_done_is_not_waited_for() -> None:
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await answer(reader))[0] == 200
        assert await reader.read() == b""
