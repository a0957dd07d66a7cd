"""The file of the latest collections: one row for each, until its hour is over and is packed.

A row has the values of all series side by side, by the number of the series; NaN where there is
none. So a collection is one small write, and a process that dies loses the one it was writing.
"""

import math
import sqlite3
from array import array
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.database import SeriesNumbers, created, opened, transaction
from stellwerk.metrics.history.errors import errors_of
from stellwerk.metrics.history.rows import Rows, Sketch
from stellwerk.metrics.model import Sample
from stellwerk.metrics.reading import Observed

_SCHEMA: Final = f"""
{SeriesNumbers.SCHEMA}
CREATE TABLE collection (time INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE TABLE sketch (time INTEGER NOT NULL, series INTEGER NOT NULL, blob BLOB NOT NULL);
"""


class Current:
    """The file, open for the one that writes. Errors as of `created`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = created(path, _SCHEMA, write_ahead=True)
        with errors_of(path):
            self._series = SeriesNumbers(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def write(self, time: int, samples: Iterable[Sample], observed: Iterable[Observed]) -> None:
        """Add a collection of a time in milliseconds since the epoch that has none yet."""
        with errors_of(self._path):
            try:
                with transaction(self._connection):
                    self._insert(time, samples, observed)
            except BaseException:
                self._series = SeriesNumbers(self._connection)  # the new ones were not written
                raise

    def times(self) -> list[int]:
        """Of all collections, in their order."""
        with errors_of(self._path):
            rows = self._connection.execute("SELECT time FROM collection ORDER BY time")
            return [time for (time,) in rows]

    def rows(self, first: int, last: int) -> Rows:
        """The collections from `first` to `last`, both included."""
        with errors_of(self._path):
            return _rows(self._connection, self._series, first, last)

    def remove(self, first: int, last: int) -> None:
        """Forget the collections from `first` to `last`, and all series if none is left."""
        with errors_of(self._path), transaction(self._connection):
            for table in ("collection", "sketch"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE time BETWEEN ? AND ?",  # noqa: S608 - our names
                    (first, last),
                )
            if self._connection.execute("SELECT 1 FROM collection LIMIT 1").fetchone() is None:
                self._series.forget()

    def _insert(self, time: int, samples: Iterable[Sample], observed: Iterable[Observed]) -> None:
        number, known = self._series.number, self._series.known
        values = [
            (known[key] if (key := series.key) in known else number(key), value)
            for series, value in samples
        ]
        row = array("d", (math.nan,)) * len(known)
        for place, value in values:
            row[place] = value
        self._connection.execute("INSERT INTO collection VALUES (?, ?)", (time, row.tobytes()))
        sketches = [(time, number(one.series.key), one.durations.packed()) for one in observed]
        if sketches:
            self._connection.executemany("INSERT INTO sketch VALUES (?, ?, ?)", sketches)


def read(path: Path, first: int, last: int) -> Rows:
    """The collections from `first` to `last`, for somebody else than the one that writes: none
    where there is no file. Errors as of `opened`.
    """
    with errors_of(path):
        connection = opened(path)
        if connection is None:
            return Rows([], {})
        with closing(connection), transaction(connection, "DEFERRED"):
            return _rows(connection, SeriesNumbers(connection), first, last)


def _rows(connection: sqlite3.Connection, series: SeriesNumbers, first: int, last: int) -> Rows:
    collections = connection.execute(
        "SELECT * FROM collection WHERE time BETWEEN ? AND ? ORDER BY time", (first, last)
    ).fetchall()
    width = len(series.known)
    cells = array("d")
    for _, row in collections:
        cells.frombytes(row)
        # A series that came later has no value here.
        cells.extend([math.nan] * (width - len(row) // cells.itemsize))
    keys = {number: key for key, number in series.known.items()}
    sketches = connection.execute(
        "SELECT * FROM sketch WHERE time BETWEEN ? AND ? ORDER BY time", (first, last)
    )
    return Rows(
        [time for time, _ in collections],
        {key: cells[number::width] for number, key in keys.items()},
        [Sketch(time, keys[number], Histogram.unpacked(blob)) for time, number, blob in sketches],
    )
