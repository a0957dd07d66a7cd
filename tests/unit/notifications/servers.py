"""A web server and a mail server that write down what they get, and fail as they are told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Posted:
    """The bodies that were posted, and the statuses still to answer with; 200 after them."""

    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    statuses: Iterator[int] = field(default_factory=lambda: iter(()))
    headers: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def web_server(posted: Posted) -> AsyncIterator[Posted]:
    """A server that takes JSON at every path."""

    async def take(request: web.Request) -> web.Response:
        posted.bodies.append(await request.json())
        return web.Response(status=next(posted.statuses, 200), headers=posted.headers)

    application = web.Application()
    application.router.add_post("/{path:.*}", take)
    async with TestServer(application) as server:
        posted.url = str(server.make_url("/services/T0/B0/secret-part"))
        yield posted


@dataclass
class Mailed:
    """Mails that were taken, whole. `refused` recipients are answered with 550."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refused: tuple[str, ...] = ()


@asynccontextmanager
async def mail_server(mailed: Mailed) -> AsyncIterator[Mailed]:
    """As much of SMTP as smtplib speaks (RFC 5321)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(":")[0].upper()
            if verb == "RCPT TO":
                recipient = line.partition("<")[2].partition(">")[0]
                known = recipient not in mailed.refused
                mailed.recipients.append(recipient)
                writer.write(b"250 ok\r\n" if known else b"550 no such mailbox\r\n")
            elif verb == "DATA":
                writer.write(b"354 go ahead\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                mailed.mails.append(text.replace("\r\n", "\n"))
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        mailed.port = server.sockets[0].getsockname()[1]
        yield mailed


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """The port of a server that takes connections and says nothing."""
    done = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        done.set()
