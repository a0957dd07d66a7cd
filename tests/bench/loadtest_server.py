"""A trivial HTTP server to measure the load generator against: `python -m
tests.bench.loadtest_server [STALL_AFTER STALL_SECONDS]`. It prints its port.

Its answers are constant. STALL_AFTER seconds after the first request it freezes as a whole for
STALL_SECONDS, once, and prints the moments at which that began and ended. It then also notes when
it answered each path, and answers /moments with that as JSON.
"""

import asyncio
import json
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Stall:
    """The one freeze of the server."""

    def __init__(self, after: float | None, seconds: float) -> None:
        self.moments: dict[str, float] = {}
        self.is_planned = after is not None
        self._after = after
        self._seconds = seconds

    def request_came(self) -> None:
        """Plan the freeze, with the first request."""
        if self._after:
            asyncio.get_running_loop().call_later(self._after, self._freeze)
            self._after = 0.0

    def _freeze(self) -> None:
        began = time.monotonic()
        time.sleep(self._seconds)
        print(began, time.monotonic(), flush=True)


class TrivialServer(asyncio.Protocol):
    """Answers every read that ends a request; requests are not looked at."""

    def __init__(self, stall: Stall) -> None:
        self._stall = stall

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._stall.request_came()
        if data.startswith(b"GET /moments "):
            body = json.dumps(self._stall.moments).encode()
            self._transport.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
            self._transport.close()
        elif data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)
            if self._stall.is_planned:
                self._stall.moments[data.split(None, 2)[1].decode()] = time.monotonic()


async def main() -> None:
    """Serve until killed."""
    after, seconds = map(float, sys.argv[1:3]) if len(sys.argv) > 2 else (None, 0.0)
    stall = Stall(after, seconds)
    server = await asyncio.get_running_loop().create_server(
        lambda: TrivialServer(stall), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
