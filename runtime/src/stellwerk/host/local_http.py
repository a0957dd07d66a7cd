"""The least of an HTTP client: GET from a server on this host, over a connection that stays.

Written for many small questions a minute: an HTTP client library would be most of a daemon.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, cast

_LONGEST_ANSWER: Final = 1024 * 1024
_HEAD_END: Final = b"\r\n\r\n"
_WITHOUT_BODY: Final = (204, 304)


class AnswerError(Exception):
    """What came is no answer in HTTP, or too long; one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and how many seconds it took from the question to its last byte."""

    status: int
    body: bytes
    seconds: float


class LocalHttp(asyncio.Protocol):
    """One server, asked one question at a time."""

    def __init__(self, port: int, agent: str, host: str = "127.0.0.1") -> None:
        self._port = port
        self._agent = agent
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._asked: _Question | None = None
        self._questions = 0  # on this connection

    def get(self, path: str) -> "asyncio.Future[Answer]":
        """Ask for a path. The future raises OSError or AnswerError; one that is cancelled costs the
        connection.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"User-Agent: {self._agent}\r\n\r\n"
        ).encode("ascii")
        self._asked = _Question(request, future)
        future.add_done_callback(self._is_over)
        if self._transport is None:
            self._connect(self._asked)
        else:
            self._send(self._asked)
        return future

    def close(self) -> None:
        """End the connection at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def _connect(self, question: "_Question") -> None:
        question.connecting = asyncio.get_running_loop().create_task(self._connected(question))

    async def _connected(self, question: "_Question") -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)
        except OSError as error:
            question.fail(error)
            return
        self._send(question)

    def _send(self, question: "_Question") -> None:
        if question.future.done():
            return
        assert self._transport is not None
        self._questions += 1
        question.begun = time.perf_counter()
        self._transport.write(question.request)

    def _is_over(self, future: "asyncio.Future[Answer]") -> None:
        question, self._asked = self._asked, None
        if future.cancelled():
            if question is not None and question.connecting is not None:
                question.connecting.cancel()
            self.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._questions = 0

    def connection_lost(self, _error: Exception | None) -> None:
        question, self._transport = self._asked, None
        if question is None or question.future.done():
            return
        if not question.received and self._questions > 1:
            # A server may close an idle connection just as it is used: this is no failure of its.
            self._connect(question)
        elif question.ends_with_connection:
            question.finish(len(question.received))
        else:
            question.fail(ConnectionResetError(104, "the connection was closed without an answer"))

    def data_received(self, data: bytes) -> None:
        question = self._asked
        if question is None:
            self.close()  # nobody asked
            return
        question.received += data
        try:
            if question.is_whole():
                question.finish(question.end)
        except ValueError:
            question.fail(AnswerError("it was not answered in HTTP"))
        if len(question.received) > _LONGEST_ANSWER:
            question.fail(AnswerError(f"the answer is longer than {_LONGEST_ANSWER} bytes"))
        if question.future.done() and (question.closes or question.future.exception()):
            self.close()


@dataclass
class _Question:
    """A request, and what has come of its answer."""

    request: bytes
    future: "asyncio.Future[Answer]"
    connecting: "asyncio.Task[None] | None" = None
    begun: float = field(default_factory=time.perf_counter)
    received: bytes = b""
    status: int = 0
    start: int = 0  # of the body
    end: int = -1  # of the body; negative while not known
    chunked: bool = False
    closes: bool = False

    @property
    def ends_with_connection(self) -> bool:
        return bool(self.start) and self.end < 0 and not self.chunked

    def is_whole(self) -> bool:
        """Whether nothing more comes. Raises ValueError for what is not HTTP."""
        if not self.start:
            self._read_head()
        if self.chunked and self.end < 0 and self.received.endswith(b"0" + _HEAD_END):
            self.end = len(self.received)
        return bool(self.start) and 0 <= self.end <= len(self.received)

    def finish(self, end: int) -> None:
        seconds = time.perf_counter() - self.begun
        body = self.received[self.start : end]
        if self.chunked:
            body = _unchunked(body)
        if not self.future.done():
            self.future.set_result(Answer(self.status, body, seconds))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def _read_head(self) -> None:
        if not b"HTTP/1.".startswith(self.received[:7]):
            raise ValueError("no HTTP")
        end = self.received.find(_HEAD_END)
        if end < 0:
            return
        first, *lines = self.received[:end].decode("latin-1").lower().split("\r\n")
        self.status = int(first.split(None, 2)[1])
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip(): value.strip() for name, _, value in pairs}
        self.start = end + len(_HEAD_END)
        self.chunked = headers.get("transfer-encoding", "") == "chunked"
        self.closes = "close" in headers.get("connection", "") or first.startswith("http/1.0")
        if self.status in _WITHOUT_BODY:
            self.end = self.start
        elif not self.chunked and "content-length" in headers:
            self.end = self.start + int(headers["content-length"])


def _unchunked(body: bytes) -> bytes:
    parts, rest = [], body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        parts.append(rest[:length])
        rest = rest[length + 2 :]
        if not length:
            break
    return b"".join(parts)
