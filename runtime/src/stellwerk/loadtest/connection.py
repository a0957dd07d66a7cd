"""One HTTP/1.1 connection that carries one request at a time: a lean client, as 5000 requests a
second leave 0.2 ms for each.
"""

import asyncio
import ssl
from typing import Protocol, cast

from stellwerk.loadtest.plan import Target
from stellwerk.loadtest.response import ProtocolError, ResponseReader

_BUFFER_BYTES = 256 * 1024


class Listener(Protocol):
    """Who is told what becomes of a request."""

    def answered(self, connection: "Connection", status: int) -> None:
        """The answer is complete; the connection carries another request if it `is_open`."""

    def broken(self, connection: "Connection", reason: str, silent: bool) -> None:
        """The connection ended before the answer; `silent`: before its first byte."""


class ReceiveBuffer:
    """Memory that all connections of an event loop receive into: each reads it out at once."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_BUFFER_BYTES))


class Connection(asyncio.BufferedProtocol):
    """A connection to the target."""

    def __init__(self, listener: Listener, buffer: ReceiveBuffer) -> None:
        self.is_open = False
        self.uses = 0
        self._listener = listener
        self._view = buffer.view
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self._waiting = False
        self._received = False

    def send(self, payload: bytes, *, head_only: bool) -> None:
        """Send a request. The listener is told of the answer; never from within this call."""
        assert self._transport is not None
        self.uses += 1
        self._waiting = True
        self._received = False
        self._reader.expect(head_only=head_only)
        self._transport.write(payload)

    def abort(self) -> None:
        """End the connection at once; the listener is not told."""
        self._waiting = False
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by asyncio."""
        del sizehint
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Called by asyncio: something came."""
        if not self._waiting:
            self.abort()  # an answer nobody asked for: what follows could be taken for another's
            return
        self._received = True
        try:
            complete = self._reader.feed(bytes(self._view[:nbytes]))
        except ProtocolError as error:
            self._break(str(error))
            return
        if complete:
            self._complete()

    def eof_received(self) -> bool:
        """Called by asyncio: the other side has closed. It is closed here as well."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        del exc
        self.is_open = False
        if not self._waiting:
            return
        if self._reader.end():
            self._complete()
        else:
            self._break("the connection was closed before the answer")

    def _complete(self) -> None:
        self._waiting = False
        if not self._reader.keep_alive:
            self.abort()
        self._listener.answered(self, self._reader.status)

    def _break(self, reason: str) -> None:
        silent = not self._received
        self.abort()
        self._listener.broken(self, reason, silent)


async def connect(
    target: Target, context: ssl.SSLContext | None, listener: Listener, buffer: ReceiveBuffer
) -> Connection:
    """Return an open connection. Raises OSError, of which ssl.SSLError is one."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(listener, buffer),
        target.address or target.host,
        target.port,
        ssl=context,
        server_hostname=target.host if context else None,
    )
    return connection


def tls_context(target: Target) -> ssl.SSLContext | None:
    """The context that verifies the target's certificate; None without TLS.

    Raises OSError where the file of authorities cannot be read or holds no certificate.
    """
    return ssl.create_default_context(cafile=target.authority_file) if target.tls else None
