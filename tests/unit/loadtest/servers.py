"""Servers on loopback that behave well or badly, in the test's own event loop."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stellwerk.loadtest.plan import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Seen:
    """What a server saw: paths in order, connections, and requests at the same time."""

    paths: list[str] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0


Answer = Callable[[str, int], Awaitable[bytes | None]]
"""The answer to a path and the number of the request on its connection; None closes without one."""


@asynccontextmanager
async def serving(
    answer: Answer, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Target, Seen]]:
    """A server for the time of the context."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        number = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                number += 1
                path = head.split()[1].decode()
                seen.paths.append(path)
                seen.at_once += 1
                seen.most_at_once = max(seen.most_at_once, seen.at_once)
                content = await answer(path, number)
                seen.at_once -= 1
                if content is None:
                    break
                writer.write(content)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, backlog=500)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Target("127.0.0.1", port, tls=context is not None), seen
    finally:
        server.close()


def always(content: bytes | None) -> Answer:
    """The same answer to everything."""

    async def answer(path: str, number: int) -> bytes | None:
        del path, number
        return content

    return answer
