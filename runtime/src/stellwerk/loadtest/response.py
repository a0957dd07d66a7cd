"""Reads HTTP/1.1 answers as far as a load test needs: status, end, and whether the connection may
be used again (RFC 9112). Bodies are counted out and thrown away.
"""

from typing import Final

_LONGEST_HEAD: Final = 64 * 1024
_LONGEST_LINE: Final = 4096
_VERSIONS: Final = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_BODILESS: Final = (204, 304)


class ProtocolError(Exception):
    """The other side does not speak HTTP/1.1."""


class ResponseReader:
    """Reads one answer after the other. `status` and `keep_alive` hold once it is complete."""

    __slots__ = ("_buffer", "_chunked", "_head_only", "_remaining", "keep_alive", "status")

    def __init__(self) -> None:
        self.expect(head_only=False)

    def expect(self, *, head_only: bool) -> None:
        """Begin a new answer; `head_only` for one to HEAD, which has no body."""
        self.status = 0
        self.keep_alive = False
        self._head_only = head_only
        self._buffer = b""
        self._chunked: _Chunks | None = None
        self._remaining: int | None = None

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the answer is complete. Raises ProtocolError."""
        while not self.status:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _LONGEST_HEAD or not _may_begin(self._buffer):
                    raise ProtocolError("the answer does not begin as HTTP/1.1 does")
                return False
            head, data, self._buffer = self._buffer[:end], self._buffer[end + 4 :], b""
            self._read_head(head)
        if self._chunked is not None:
            return self._chunked.feed(data)
        if self._remaining is None:
            return False
        self._remaining -= len(data)
        if self._remaining < 0:
            self.keep_alive = False  # more than one answer to one request: whose is the rest?
        return self._remaining <= 0

    def end(self) -> bool:
        """The connection ended; return whether that makes the answer complete."""
        return bool(self.status) and self._chunked is None and self._remaining is None

    def _read_head(self, head: bytes) -> None:
        status = head[9:12]
        if head[:9] not in _VERSIONS or not status.isdigit():
            raise ProtocolError("the answer does not begin as HTTP/1.1 does")
        if status.startswith(b"1"):
            return  # an interim answer; the real one follows
        self.status = int(status)
        lowered = head.lower()
        connection = _header(lowered, b"connection")
        self.keep_alive = (
            b"close" not in connection
            if head[:9] == _VERSIONS[0]
            else (b"keep-alive" in connection)
        )
        if self._head_only or self.status in _BODILESS:
            self._remaining = 0
        elif b"chunked" in _header(lowered, b"transfer-encoding"):
            self._chunked = _Chunks()
        else:
            self._remaining = _length(_header(lowered, b"content-length"))
        if self._chunked is None and self._remaining is None:
            self.keep_alive = False


class _Chunks:
    """The end of a chunked body (RFC 9112, 7.1)."""

    __slots__ = ("_buffer", "_skip", "_trailers")

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0
        self._trailers = False

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the body is complete."""
        rest = self._buffer + data
        while True:
            skipped = min(self._skip, len(rest))
            self._skip -= skipped
            rest = rest[skipped:]
            line, found, after = rest.partition(b"\r\n")
            if self._skip or not found:
                if len(rest) > _LONGEST_LINE:
                    raise ProtocolError("a chunk of the answer has no size")
                self._buffer = rest
                return False
            rest = after
            if self._trailers:
                if not line:
                    return True
            elif size := _chunk_size(line):
                self._skip = size + 2  # the line end after the chunk
            else:
                self._trailers = True


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise ProtocolError("a chunk of the answer has no size") from None


def _header(lowered_head: bytes, name: bytes) -> bytes:
    """The value of the first header of that name; empty where there is none."""
    start = lowered_head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = lowered_head.find(b"\r\n", start)
    return lowered_head[start : end if end >= 0 else None].strip()


def _length(text: bytes) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise ProtocolError("the answer's Content-Length is not a number")
    return int(text)


def _may_begin(received: bytes) -> bool:
    return any(version.startswith(received[:9]) for version in _VERSIONS)
