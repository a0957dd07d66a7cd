"""The least of a Redis client: one command, one answer, over TCP or a unix socket."""

import socket
import ssl
from types import TracebackType
from typing import Any


class RedisError(Exception):
    """Redis answered with an error, or not at all."""


class Connection:
    """A connection to one Redis or Sentinel; every wait is bounded by `timeout` seconds.

    Over TCP it is encrypted where `tls` says whom to trust.
    """

    def __init__(
        self,
        address: str | tuple[str, int],
        timeout: float = 3,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        try:
            if isinstance(address, str):
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.settimeout(timeout)
                self._socket.connect(address)
            else:
                self._socket = _dial(address, timeout, tls)
        except OSError as error:
            raise RedisError(f"cannot connect: {error}") from error
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def call(self, *words: str | int) -> Any:
        """Send one command and return its answer.

        Raises:
            RedisError: an error answer, or no answer in time.
        """
        encoded = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(encoded)
        for word in encoded:
            request += b"$%d\r\n%s\r\n" % (len(word), word)
        try:
            self._socket.sendall(request)
            return self._answer()
        except OSError as error:
            raise RedisError(f"no answer to {words[0]}: {error}") from error
        except ValueError as error:
            raise RedisError(f"an answer to {words[0]} that is not Redis': {error}") from error

    def pairs(self, *words: str | int) -> dict[str, str]:
        """An answer that lists names and values in turn."""
        flat = self.call(*words)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def _answer(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("the connection was closed")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self._answer() for _ in range(count)]
        raise RedisError(f"an answer that is not Redis': {line[:40]!r}")

    def _bulk(self, size: int) -> str | None:
        if size < 0:
            return None
        content = self._file.read(size + 2)
        if len(content) < size + 2:
            raise RedisError("the connection was closed")
        return content[:-2].decode(errors="replace")


def _dial(address: tuple[str, int], timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    plain = socket.create_connection(address, timeout)
    if tls is None:
        return plain
    try:
        return tls.wrap_socket(plain, server_hostname=address[0])
    except OSError:
        plain.close()
        raise
