"""Writes the history of a host: every collection at once, packed hour by hour, for some days.

One process writes. Calls block for the time of a small write, once an hour for some tenths of a
second.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from stellwerk.metrics.history.current import Current
from stellwerk.metrics.history.day import add, block_of
from stellwerk.metrics.history.errors import DamagedError, HistoryError
from stellwerk.metrics.history.files import Folder, day_of
from stellwerk.metrics.model import Sample
from stellwerk.metrics.reading import Observed

_log = logging.getLogger(__name__)


class HistoryWriter:
    """The history in a folder. It is made where there is none.

    A damaged file is set aside, with a line in the log, and a new one begun. HistoryError where the
    folder or a file cannot be written.
    """

    def __init__(self, folder: Path, *, keep_days: int, most_bytes: int) -> None:
        self._folder = Folder(folder)
        self._keep_days = keep_days
        self._most_bytes = most_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(f"{folder}: {error.strerror}; the history needs a folder") from None
        self._current = self._opened()
        # Of the collections that are not packed yet, by their block.
        self._times = _by_block(self._current.times())

    def write(
        self, at: float, samples: Iterable[Sample], observed: Iterable[Observed] = ()
    ) -> None:
        """Keep a collection: rates and gauges as `Rates.kept` yields them, and durations.

        `at` is in seconds since the epoch. HistoryError if it cannot be kept, or if it is and what
        was before cannot be packed: the next call tries that again.
        """
        time = self._free(round(1000 * at))
        samples, observed = list(samples), list(observed)
        trouble = self._pack_before(time)
        self._mended(lambda: self._current.write(time, samples, observed))
        self._times.setdefault(block_of(time), set()).add(time)
        if trouble is not None:
            raise trouble

    def size(self) -> int:
        """Bytes of all files."""
        return self._folder.size()

    def close(self) -> None:
        """Close the files."""
        self._current.close()

    def _free(self, time: int) -> int:
        """The time, or the next one that no collection has: a clock may be set back."""
        while time in self._times.get(block_of(time), ()):
            time += 1
        return time

    def _pack_before(self, time: int) -> HistoryError | None:
        """Pack what is of other hours than this one; the error if that fails."""
        now = block_of(time)
        others = sorted(one for one in self._times.items() if one[0] != now)
        try:
            for block, times in others:
                self._mended(partial(self._pack, block, min(times), max(times)))
            if others:
                self._tidy(time)
        except HistoryError as error:
            return error
        return None

    def _pack(self, block: int, first: int, last: int) -> None:
        rows = self._current.rows(first, last)
        if rows.times:
            add(self._folder.day(day_of(first / 1000)), rows)
        self._current.remove(first, last)
        self._times.pop(block, None)  # with a damaged file all were forgotten

    def _tidy(self, time: int) -> None:
        try:
            said = self._folder.tidy(day_of(time / 1000), self._keep_days, self._most_bytes)
        except OSError as error:
            raise HistoryError(f"{error.filename}: {error.strerror}; old days pile up") from None
        for sentence in said:
            _log.warning("%s", sentence)

    def _mended(self, action: Callable[[], None]) -> None:
        """Do it; if a file turns out to be damaged, once more with a new one in its place."""
        try:
            action()
        except DamagedError as error:
            self._set_aside(error)
            if error.path == self._folder.current:
                self._current.close()
                self._current = self._opened()
                self._times.clear()
            action()

    def _opened(self) -> Current:
        try:
            return Current(self._folder.current)
        except DamagedError as error:
            self._set_aside(error)
            return Current(self._folder.current)

    def _set_aside(self, error: DamagedError) -> None:
        _log.warning("%s; it is set aside and a new one begun", error)
        self._folder.set_aside(error.path)


def _by_block(times: Iterable[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for time in times:
        found.setdefault(block_of(time), set()).add(time)
    return found
