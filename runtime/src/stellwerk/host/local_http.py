"""The least of an HTTP client: GET from a server on this host, over a connection that stays.

Written for many small questions a minute: an HTTP client library would be most of a daemon.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

_LONGEST_ANSWER: Final = 1024 * 1024
# Of all connections, as it is emptied as soon as it is filled. Asyncio would make one of 256 KB for
# each answer.
_BUFFER: Final = memoryview(bytearray(64 * 1024))
_HEAD_END: Final = b"\r\n\r\n"
_CLOSED: Final = "the connection was closed without an answer"
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*(\d+)[ \t]*\r")
_CHUNKED: Final = re.compile(rb"\ntransfer-encoding:[^\r]*chunked")
_CLOSES: Final = re.compile(rb"\nconnection:[^\r]*close")
_WITHOUT_BODY: Final = (204, 304)


class AnswerError(Exception):
    """What came is no answer in HTTP, or too long; one sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and how many seconds it took from the question to its last byte."""

    status: int
    body: bytes
    seconds: float


class LocalHttp:
    """One server, asked one question at a time."""

    def __init__(self, port: int, agent: str, host: str = "127.0.0.1") -> None:
        self._port = port
        self._agent = agent
        self._host = host
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._requests: dict[str, bytes] = {}  # by path; there are few

    def get(self, path: str) -> "asyncio.Future[Answer]":
        """Ask for a path. The future raises OSError or AnswerError. Who gives it up has to close:
        the answer would come to the next question.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        question = _Question(self._request(path), future, self._connect)
        if self._wire is not None and self._wire.transport is not None:
            self._wire.send(question)
        else:
            self._connect(question)
        return future

    def close(self) -> None:
        """End the connection at once, and what is asked on it."""
        if self._connecting is not None:
            self._connecting.cancel()
        wire, self._wire = self._wire, None
        if wire is not None and wire.transport is not None:
            wire.transport.abort()

    def _request(self, path: str) -> bytes:
        known = self._requests.get(path)
        if known is None:
            text = (
                f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
                f"User-Agent: {self._agent}\r\n\r\n"
            )
            known = self._requests[path] = text.encode("ascii")
        return known

    def _connect(self, question: "_Question") -> None:
        self._connecting = asyncio.get_running_loop().create_task(self._connected(question))

    async def _connected(self, question: "_Question") -> None:
        try:
            _, self._wire = await asyncio.get_running_loop().create_connection(
                _Wire, self._host, self._port
            )
        except OSError as error:
            question.fail(error)
        else:
            self._wire.send(question)


class _Wire(asyncio.BufferedProtocol):
    """One connection. It is not used again: what a lost one still says concerns nobody else."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._question: _Question | None = None
        self._questions = 0

    def send(self, question: "_Question") -> None:
        self._question = question
        self._questions += 1
        question.begun = time.perf_counter()
        if self.transport is None:  # closed since it was made
            question.fail(ConnectionResetError(_CLOSED))
        else:
            self.transport.write(question.request)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        question = self._question
        if question is None or question.future.done():
            return
        if not question.received and self._questions > 1:
            # A server may close an idle connection just as it is used: this is no failure of its.
            question.ask_again(question)
        elif question.ends_with_connection:
            question.finish(len(question.received))
        else:
            question.fail(ConnectionResetError(_CLOSED))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        question = self._question
        if question is None or question.future.done():
            self._close()  # nobody asked
            return
        question.received += _BUFFER[:nbytes]
        try:
            if question.is_whole():
                question.finish(question.end)
        except ValueError:
            question.fail(AnswerError("it was not answered in HTTP"))
        if len(question.received) > _LONGEST_ANSWER:
            question.fail(AnswerError(f"the answer is longer than {_LONGEST_ANSWER} bytes"))
        if question.future.done() and (question.closes or question.future.exception()):
            self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        self.transport = None


@dataclass
class _Question:
    """A request, and what has come of its answer."""

    request: bytes
    future: "asyncio.Future[Answer]"
    ask_again: "Callable[[_Question], None]"
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
        head = self.received[: end + 2].lower()
        self.status = int(head.split(None, 2)[1])
        self.start = end + len(_HEAD_END)
        length = _LENGTH.search(head)
        self.chunked = _CHUNKED.search(head) is not None
        self.closes = head.startswith(b"http/1.0") or _CLOSES.search(head) is not None
        if self.status in _WITHOUT_BODY:
            self.end = self.start
        elif length is not None and not self.chunked:
            self.end = self.start + int(length[1])


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
