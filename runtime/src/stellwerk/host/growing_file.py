"""A log file that others write, as it grows."""

import os
from pathlib import Path
from typing import BinaryIO, Final

_READ_BYTES: Final = 1024 * 1024  # at one time; the rest is read the next time


class GrowingFile:
    """The lines that were written since the last reading, also over a rotation of the file."""

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

    def lines(self) -> list[bytes]:
        """The whole lines that are new, up to a bound; one that cannot be read has none."""
        if self._stream is None and not self._open():
            return []
        fresh = self._read()
        if not fresh and self._was_rotated():
            # Its writer is in the new file by now, so nothing more comes into the old one.
            self.close()
            if not self._open():
                return []
            fresh = self._read()
        *whole, self._part = (self._part + fresh).split(b"\n")
        return whole

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
