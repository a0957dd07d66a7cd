"""nginx's access log as it grows: requests and failed ones by the instance that was asked.

The format is declared in nginx.conf; docs/balancing.md describes it for other readers.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_READ_BYTES: Final = 1024 * 1024  # at one time; the rest is read the next time
_FIELDS: Final = 9
_UPSTREAM: Final = 1
_ADDRESSES: Final = 2
_STATUSES: Final = 3
_SEPARATOR: Final = re.compile(r", | : ")  # between attempts: further servers, further upstreams


@dataclass(frozen=True)
class Attempt:
    """One attempt of nginx to have a request answered by a server of an upstream."""

    upstream: str
    address: str  # with the port, IPv6 in brackets
    failed: bool  # answered with 5xx or not at all


def attempts(line: str) -> Iterator[Attempt]:
    """The attempts that a line of the log is about; none where nginx answered by itself, or where
    the line is not whole.
    """
    fields = line.rstrip("\n").split("\t")
    if len(fields) != _FIELDS:
        return
    addresses = _SEPARATOR.split(fields[_ADDRESSES])
    statuses = _SEPARATOR.split(fields[_STATUSES])
    if len(addresses) != len(statuses):
        return
    for address, status in zip(addresses, statuses, strict=True):
        if ":" in address:  # else no server was left, and the upstream's own name stands here
            yield Attempt(fields[_UPSTREAM], address, failed=not "100" <= status < "500")


class AccessLog:
    """The lines that were written since the last reading, also over a rotation of the log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        self._part = b""

    def open_at_end(self) -> None:
        """Begin here: what was written before is not read."""
        self.close()
        if self._open():
            assert self._stream is not None
            self._stream.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._part = None, b""

    def lines(self) -> Iterator[str]:
        """The whole lines that are new. A log that cannot be read has none."""
        if self._stream is None and not self._open():
            return
        fresh = self._read()
        if not fresh and self._was_rotated():
            # Its writer is in the new file by now, so nothing more comes into the old one.
            self.close()
            if not self._open():
                return
            fresh = self._read()
        *whole, self._part = (self._part + fresh).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")

    def _open(self) -> bool:
        try:
            self._stream = self._path.open("rb")
        except OSError:
            return False
        return True

    def _read(self) -> bytes:
        assert self._stream is not None
        if os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self._stream.seek(0)  # emptied in place
            self._part = b""
        return self._stream.read(_READ_BYTES)

    def _was_rotated(self) -> bool:
        """Whether another file has taken the name, and its writer writes into that."""
        assert self._stream is not None
        try:
            present = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(self._stream.fileno())
        same = (present.st_dev, present.st_ino) == (mine.st_dev, mine.st_ino)
        return not same and present.st_size > 0
