"""What can be wrong with a file of the history."""

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stellwerk.metrics.history.codec import CodecError

_DAMAGED_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF


class HistoryError(Exception):
    """The history cannot be written or read now: the disk is full, a permission is missing."""


class DamagedError(HistoryError):
    """A file is not what was written; it is to be set aside."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path}: damaged: {reason}")
        self.path = path


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Say of SQLite's errors which file they are about, and whether it is damaged."""
    try:
        yield
    except (CodecError, zlib.error, struct.error) as error:
        raise DamagedError(path, error) from None
    except sqlite3.DatabaseError as error:
        # Our own mistakes in SQL, which have no code, are left to be seen.
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise
        if code & _PRIMARY_CODE in _DAMAGED_CODES:
            raise DamagedError(path, error) from None
        raise HistoryError(f"{path}: {error}; is there space, and may it be written?") from None
