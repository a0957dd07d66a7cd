"""The file of one day (UTC): a packed chunk per series and hour, a histogram per five minutes.

Rows are added in the order of time, so that SQLite's pages stay full; a chunk is found by its
number, which is made of the hour and the number of the series.
"""

import sqlite3
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import compress
from pathlib import Path
from typing import Final, Self

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.codec import pack, total, unpack
from stellwerk.metrics.history.database import SeriesNumbers, created, opened, transaction
from stellwerk.metrics.history.errors import errors_of
from stellwerk.metrics.history.rows import Points, Rows, Sketch

BLOCK_SECONDS: Final = 3600
"""What one chunk covers."""
SKETCH_SECONDS: Final = 300
"""What one histogram covers, once its hour is packed."""

_DAY_MILLISECONDS: Final = 86_400_000
_BLOCK_MILLISECONDS: Final = 1000 * BLOCK_SECONDS
_SKETCH_MILLISECONDS: Final = 1000 * SKETCH_SECONDS
_SKETCHES_IN_BLOCK: Final = BLOCK_SECONDS // SKETCH_SECONDS
_SERIES_BITS: Final = 20
_SERIES_MASK: Final = (1 << _SERIES_BITS) - 1
_SCHEMA: Final = f"""
{SeriesNumbers.SCHEMA}
CREATE TABLE block (id INTEGER PRIMARY KEY, times BLOB NOT NULL);
CREATE TABLE chunk (id INTEGER PRIMARY KEY, lowest REAL NOT NULL, blob BLOB);
CREATE TABLE sketch (id INTEGER PRIMARY KEY, blob BLOB NOT NULL);
"""


def block_of(time: int) -> int:
    """The number of the block, since the epoch, that a time in milliseconds is in."""
    return time // _BLOCK_MILLISECONDS


def add(path: Path, rows: Rows) -> None:
    """Add the collections of one block to its day's file. Those it has already are left alone, so
    that an addition that was killed is simply made again. Errors as of `created`.
    """
    with (
        errors_of(path),
        closing(created(path, _SCHEMA)) as connection,
        transaction(connection),
    ):
        _Addition(connection).make(rows)


class Day:
    """A day's file, open for reading."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        with errors_of(path):
            self._blocks = {
                number: _times(blob)
                for number, blob in connection.execute("SELECT * FROM block ORDER BY id")
            }
        some_time = next((times[0] for times in self._blocks.values()), 0)
        self._start = some_time - some_time % _DAY_MILLISECONDS

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The file; None if it is not there. Errors as of `opened`."""
        connection = opened(path)
        return None if connection is None else cls(path, connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def keys(self) -> Iterable[str]:
        """The series there are values of."""
        with errors_of(self._path):
            return [key for (key,) in self._connection.execute("SELECT key FROM series")]

    def times_from(self, first: int) -> Iterator[int]:
        """The times of the collections, beginning with the hour that `first` is in."""
        for times in self._blocks.values():
            if times[-1] >= first:
                yield from times

    def points(self, key: str, first: int, last: int) -> Iterator[Points]:
        """The values of a series from `first` to `last`, an hour at a time."""
        series = self._number(key)
        blocks = self._blocks_within(first, last)
        if series is None or not blocks:
            return
        with errors_of(self._path):
            for place, lowest, blob in self._rows("chunk", (_place(one, series) for one in blocks)):
                times = self._blocks[place >> _SERIES_BITS]
                yield _points(blob, times, lowest).within(first, last)

    def totals(self, key: str, first: int, last: int) -> Iterator[tuple[int, float]]:
        """How many values a series has from `first` to `last` and their sum, an hour at a time."""
        series = self._number(key)
        blocks = self._blocks_within(first, last)
        if series is None or not blocks:
            return
        with errors_of(self._path):
            for place, lowest, blob in self._rows("chunk", (_place(one, series) for one in blocks)):
                times = self._blocks[place >> _SERIES_BITS]
                if first <= times[0] and times[-1] <= last:
                    yield total(blob or b"", len(times), lowest)
                else:
                    points = _points(blob, times, lowest).within(first, last)
                    yield len(points.values), sum(points.values)

    def collections(self, first: int, last: int) -> int:
        """How many there were from `first` to `last`."""
        blocks = self._blocks_within(first, last)
        return sum(
            bisect_right(times, last) - bisect_left(times, first)
            for times in map(self._blocks.__getitem__, blocks)
        )

    def durations(self, key: str, first: int, last: int) -> Iterator[Histogram]:
        """The histograms of a distribution that begin from `first` to `last`."""
        series = self._number(key)
        if series is None:
            return
        slots = [
            slot
            for block in self._blocks_within(first, last)
            for slot in range(block * _SKETCHES_IN_BLOCK, (block + 1) * _SKETCHES_IN_BLOCK)
            if first <= self._start + slot * _SKETCH_MILLISECONDS <= last
        ]
        with errors_of(self._path):
            for _, blob in self._rows("sketch", (_place(slot, series) for slot in slots)):
                yield Histogram.unpacked(blob)

    def _number(self, key: str) -> int | None:
        with errors_of(self._path):
            row = self._connection.execute("SELECT id FROM series WHERE key = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def _blocks_within(self, first: int, last: int) -> list[int]:
        return [
            number
            for number, times in self._blocks.items()
            if times[0] <= last and first <= times[-1]
        ]

    def _rows(self, table: str, places: Iterable[int]) -> sqlite3.Cursor:
        wanted = list(places)
        marks = ",".join("?" * len(wanted))
        return self._connection.execute(
            f"SELECT * FROM {table} WHERE id IN ({marks}) ORDER BY id",  # noqa: S608 - our names
            wanted,
        )


class _Addition:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series = SeriesNumbers(connection)

    def make(self, rows: Rows) -> None:
        number = rows.times[0] % _DAY_MILLISECONDS // _BLOCK_MILLISECONDS
        present = self._connection.execute(
            "SELECT times FROM block WHERE id = ?", (number,)
        ).fetchone()
        if present is not None:
            rows = self._present(number, _times(*present)).merged(rows)
        self._write_block(number, rows)
        self._add_sketches(rows.sketches)

    def _present(self, block: int, times: Sequence[int]) -> Rows:
        keys = {number: key for key, number in self._series.known.items()}
        chunks = self._connection.execute(
            "SELECT * FROM chunk WHERE id BETWEEN ? AND ?",
            (_place(block, 0), _place(block, _SERIES_MASK)),
        )
        columns = {
            keys[place & _SERIES_MASK]: unpack(blob or b"", len(times), lowest).with_gaps()
            for place, lowest, blob in chunks
        }
        return Rows(list(times), columns)

    def _write_block(self, number: int, rows: Rows) -> None:
        times = zlib.compress(array("q", rows.times).tobytes())
        self._connection.execute("INSERT OR REPLACE INTO block VALUES (?, ?)", (number, times))
        packed = (
            (_place(number, self._series.number(key)), pack(column))
            for key, column in rows.columns.items()
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO chunk VALUES (?, ?, ?)",
            sorted(
                (place, column.lowest, column.blob or None)
                for place, column in packed
                if column.number
            ),
        )

    def _add_sketches(self, sketches: Iterable[Sketch]) -> None:
        merged: dict[int, Histogram] = {}
        for time, key, durations in sketches:
            slot = time % _DAY_MILLISECONDS // _SKETCH_MILLISECONDS
            place = _place(slot, self._series.number(key))
            if place not in merged:
                merged[place] = self._sketch(place)
            merged[place].merge(durations)
        self._connection.executemany(
            "INSERT OR REPLACE INTO sketch VALUES (?, ?)",
            sorted((place, durations.packed()) for place, durations in merged.items()),
        )

    def _sketch(self, place: int) -> Histogram:
        row = self._connection.execute("SELECT blob FROM sketch WHERE id = ?", (place,)).fetchone()
        return Histogram() if row is None else Histogram.unpacked(row[0])


def _points(blob: bytes | None, times: "array[int]", lowest: float) -> Points:
    values, present = unpack(blob or b"", len(times), lowest)
    return Points(times if present is None else array("q", compress(times, present)), values)


def _place(number: int, series: int) -> int:
    """The key of what a series has in a block, or in a slot of sketches, of the day."""
    return number << _SERIES_BITS | series


def _times(blob: bytes) -> "array[int]":
    times = array("q")
    times.frombytes(zlib.decompress(blob))
    return times
