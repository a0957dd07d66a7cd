"""Opening an SQLite file of the history, whatever state it was left in."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from stellwerk.metrics.history.errors import DamagedError, errors_of

FORMAT: Final = 1
"""Of all files; another one's are set aside."""

_WAIT_SECONDS: Final = 5.0  # for another process that writes; its transactions take milliseconds


def created(path: Path, schema: str, *, write_ahead: bool = False) -> sqlite3.Connection:
    """The file opened for writing, made with the schema where it is not there.

    DamagedError if it is there and cannot be used, HistoryError if it cannot be opened.
    """
    with errors_of(path):
        connection = _connected(path, "rwc")
        connection.execute(f"PRAGMA journal_mode = {'wal' if write_ahead else 'delete'}")
        # Safe against a process that dies; after a loss of power the latest may be missing.
        connection.execute("PRAGMA synchronous = normal")
        if _version(connection) == 0:
            connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {FORMAT}; COMMIT;")
        _check_version(connection, path)
        return connection


def opened(path: Path) -> sqlite3.Connection | None:
    """The file opened for reading; None if it is not there. Errors as of `created`."""
    if not path.exists():
        return None
    with errors_of(path):
        # Not "ro": that could not clear up what a process that was killed has left behind.
        connection = _connected(path, "rw")
        if _version(connection) == 0:  # a process was killed before it wrote anything
            connection.close()
            return None
        _check_version(connection, path)
        return connection


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_WAIT_SECONDS,
        isolation_level=None,
    )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version != FORMAT:
        connection.close()
        raise DamagedError(path, f"format {version} is not the one known here, {FORMAT}")


@contextmanager
def transaction(
    connection: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[None]:
    """All or nothing of what is written inside; reading only is DEFERRED, and sees one state."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        # Where the disk is full SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class SeriesNumbers:
    """The table `series` of a file: a small number for each key."""

    SCHEMA: Final = "CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.known: dict[str, int] = {
            key: number for number, key in connection.execute("SELECT id, key FROM series")
        }

    def number(self, key: str) -> int:
        """The number of a key, from 0 on; a new one is written, inside the caller's transaction."""
        known = self.known.get(key)
        if known is not None:
            return known
        number = self.known[key] = len(self.known)
        self._connection.execute("INSERT INTO series VALUES (?, ?)", (number, key))
        return number

    def forget(self) -> None:
        """Begin anew, inside the caller's transaction."""
        self._connection.execute("DELETE FROM series")
        self.known.clear()
