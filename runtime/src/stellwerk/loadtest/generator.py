"""Sends the requests of a plan on schedule, whatever the answers do: an open loop.

Latency counts from the intended start, so a server that stalls cannot hide the requests it kept
from being sent.
"""

import asyncio
import errno
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Final

from stellwerk.loadtest.connection import Connection, ReceiveBuffer, connect
from stellwerk.loadtest.mix import Drawn, Mix
from stellwerk.loadtest.plan import Plan
from stellwerk.loadtest.tally import DROPPED, TIMED_OUT, UNFINISHED, Tally

LATE_SECONDS: Final = 0.01
"""A start this long after the intended one is late, unless it waited for a free user: as long as
the shortest median of the baselines (specification 1.1).
"""
_SWEEP_SECONDS: Final = 0.1
_AT_ONCE: Final = 64  # starts in a row before answers are read again
_FIRST_ERROR_STATUS: Final = 400
_OWN_ERRORS: Final = (errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What keeps this machine, rather than the server, from opening a connection."""


@dataclass
class Pace:
    """How well the generator does. `own_failures`: connections this machine had no means for."""

    started: int = 0
    late: int = 0
    worst_seconds: float = 0.0
    repeated: int = 0
    own_failures: int = 0


class _Exchange:
    """A request on its way."""

    __slots__ = ("drawn", "intended", "repeated", "sent")

    def __init__(self, intended: float, drawn: Drawn) -> None:
        self.intended = intended
        self.drawn = drawn
        self.sent = 0.0
        self.repeated = False


class Generator:
    """Runs one plan once. Moments are those of the event loop's clock."""

    def __init__(self, plan: Plan, context: ssl.SSLContext | None) -> None:
        self.tally = Tally()
        self.pace = Pace()
        self._plan = plan
        self._context = context
        self._mix = Mix(plan)
        self._buffer = ReceiveBuffer()
        self._loop = asyncio.get_running_loop()
        self._number = plan.first
        self._total = plan.schedule.total
        self._start = 0.0
        self._due = 0.0
        self._idle: list[Connection] = []
        self._busy: dict[Connection, _Exchange] = {}  # in the order of sending
        self._opening: dict[asyncio.Task[None], _Exchange] = {}
        self._waiting: deque[_Exchange] = deque()
        self._finished = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Requests that hold a virtual user."""
        return len(self._busy) + len(self._opening)

    @property
    def waiting(self) -> int:
        """Requests that wait for a free user."""
        return len(self._waiting)

    async def run(self, start: float) -> None:
        """Send everything, the first request at `start`, and wait for the last answer."""
        self._start = start
        self._schedule_next()
        self._sweep()
        await self._finished.wait()
        for connection in self._idle:
            connection.abort()

    def stop(self) -> None:
        """End the run now. What is not answered yet counts as unfinished."""
        now = self._loop.time()
        self._number = self._total
        for exchange in (*self._busy.values(), *self._opening.values(), *self._waiting):
            self._silent(exchange, UNFINISHED, now)
        for connection in self._busy:
            connection.abort()
        for task in self._opening:
            task.cancel()
        self._busy.clear()
        self._opening.clear()
        self._waiting.clear()
        self._finished.set()

    def answered(self, connection: Connection, status: int) -> None:
        """Called by a connection."""
        now = self._loop.time()
        exchange = self._busy.pop(connection)
        cell = self.tally.cell(int(exchange.intended - self._start), exchange.drawn.kind)
        if status < _FIRST_ERROR_STATUS:
            cell.success(now - exchange.intended, now - exchange.sent)
            self.tally.cell(int(now - self._start), exchange.drawn.kind).answered += 1
        else:
            cell.failure(f"HTTP {status}")
        if connection.is_open:
            self._idle.append(connection)
        self._user_is_free()

    def broken(self, connection: Connection, reason: str, silent: bool) -> None:
        """Called by a connection."""
        exchange = self._busy.pop(connection)
        # A server may close an idle connection just as a request is sent on it. Such a request was
        # never seen, and clients send it again (RFC 9110, 9.2.2).
        if silent and connection.uses > 1 and not exchange.repeated:
            exchange.repeated = exchange.drawn.may_be_repeated
            if exchange.repeated:
                self.pace.repeated += 1
                self._open(exchange)
                return
        self._failed(exchange, reason)
        self._user_is_free()

    def _schedule_next(self) -> None:
        if self._number < self._total:
            self._due = self._start + self._plan.schedule.start_of(self._number)
            self._loop.call_at(self._due, self._start_due)
        else:
            self._finish_if_idle()

    def _start_due(self) -> None:
        """Start what is due, then wait for what is not."""
        for _ in range(_AT_ONCE):
            now = self._loop.time()
            if self._is_hopeless(now):
                self._number = self._total
            if self._number >= self._total or self._due > now:
                self._schedule_next()
                return
            self._begin(now)
            self._number += self._plan.step
            self._due = self._start + self._plan.schedule.start_of(self._number)
        self._loop.call_soon(self._start_due)

    def _is_hopeless(self, now: float) -> bool:
        """Whether the run should long be over; what was not started then never is."""
        plan = self._plan
        return now > self._start + plan.schedule.duration + plan.longest_wait

    def _begin(self, now: float) -> None:
        late = now - self._due
        self.pace.started += 1
        self.pace.late += late > LATE_SECONDS
        self.pace.worst_seconds = max(self.pace.worst_seconds, late)
        exchange = _Exchange(self._due, self._mix.draw())
        if self.in_flight < self._plan.users:
            self._send(exchange)
        else:
            self._waiting.append(exchange)

    def _send(self, exchange: _Exchange) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._send_on(connection, exchange)
                return
        self._open(exchange)

    def _send_on(self, connection: Connection, exchange: _Exchange) -> None:
        if not exchange.sent:
            exchange.sent = self._loop.time()
        self._busy[connection] = exchange
        drawn = exchange.drawn
        connection.send(drawn.payload, head_only=not drawn.has_body_in_answer)

    def _open(self, exchange: _Exchange) -> None:
        if not exchange.sent:
            exchange.sent = self._loop.time()
        task = self._loop.create_task(self._connect(exchange))
        self._opening[task] = exchange
        task.add_done_callback(self._opened)

    async def _connect(self, exchange: _Exchange) -> None:
        left = exchange.sent + self._plan.timeout - self._loop.time()
        async with asyncio.timeout(max(left, _SWEEP_SECONDS)):
            connection = await connect(self._plan.target, self._context, self, self._buffer)
        self._send_on(connection, exchange)

    def _opened(self, task: "asyncio.Task[None]") -> None:
        exchange = self._opening.pop(task, None)
        if exchange is None or task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if isinstance(error, TimeoutError):
            self._silent(exchange, TIMED_OUT, self._loop.time())
        else:
            self.pace.own_failures += isinstance(error, OSError) and error.errno in _OWN_ERRORS
            self._failed(exchange, f"no connection: {connection_problem(error)}")
        self._user_is_free()

    def _user_is_free(self) -> None:
        if self._waiting:
            self._send(self._waiting.popleft())
        else:
            self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._number >= self._total and not self.in_flight and not self._waiting:
            self._finished.set()

    def _sweep(self) -> None:
        """Give up what waits too long: for a user, or for an answer."""
        if self._finished.is_set():
            return
        now = self._loop.time()
        while self._waiting and now - self._waiting[0].intended > self._plan.longest_wait:
            self._silent(self._waiting.popleft(), DROPPED, now)
        overdue = [
            connection
            for connection, exchange in self._busy.items()
            if now - exchange.sent > self._plan.timeout
        ]
        for connection in overdue:
            connection.abort()
            self._silent(self._busy.pop(connection), TIMED_OUT, now)
            self._user_is_free()
        self._finish_if_idle()
        self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _failed(self, exchange: _Exchange, reason: str) -> None:
        self.tally.cell(self._second(exchange), exchange.drawn.kind).failure(reason)

    def _silent(self, exchange: _Exchange, reason: str, now: float) -> None:
        cell = self.tally.cell(self._second(exchange), exchange.drawn.kind)
        cell.silence(reason, now - exchange.intended)

    def _second(self, exchange: _Exchange) -> int:
        return int(exchange.intended - self._start)


def connection_problem(error: BaseException) -> str:
    """Why a connection could not be opened, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not verified: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'no reason given').lower().replace('_', ' ')}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or type(error).__name__).lower()
