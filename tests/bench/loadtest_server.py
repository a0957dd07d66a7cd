"""A trivial HTTP server to measure the load generator against: `python -m
tests.bench.loadtest_server [STALL_AFTER STALL_SECONDS]`. It prints its port.

Its answers are constant. STALL_AFTER seconds after the first request it freezes as a whole for
STALL_SECONDS, once.
"""

import asyncio
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class TrivialServer(asyncio.Protocol):
    """Answers every read that ends a request; requests are not looked at."""

    stall_after: float | None = None
    stall_seconds = 0.0
    _timer_runs = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not TrivialServer._timer_runs and TrivialServer.stall_after is not None:
            TrivialServer._timer_runs = True
            loop = asyncio.get_running_loop()
            loop.call_later(TrivialServer.stall_after, time.sleep, TrivialServer.stall_seconds)
        if data.endswith(b"\r\n\r\n"):
            self._transport.write(ANSWER)


async def main() -> None:
    """Serve until killed."""
    if len(sys.argv) > 2:
        TrivialServer.stall_after, TrivialServer.stall_seconds = map(float, sys.argv[1:3])
    server = await asyncio.get_running_loop().create_server(
        TrivialServer, "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
