"""The files of a history: which there are, how old, how large; those that are damaged set aside."""

import datetime
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAY_SECONDS: Final = 86400

_SUFFIX: Final = ".sqlite"
_DAMAGED: Final = ".damaged"
_BESIDE: Final = ("-wal", "-shm", "-journal")


def day_of(at: float) -> datetime.date:
    """The day (UTC) of a time in seconds since the epoch."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date()


def start_of(day: datetime.date) -> int:
    """When a day begins, in seconds since the epoch."""
    return (day - datetime.date(1970, 1, 1)).days * DAY_SECONDS


@dataclass(frozen=True)
class Folder:
    """The folder of a history."""

    path: Path

    @property
    def current(self) -> Path:
        """The file of the collections that are not in their day's file yet."""
        return self.path / f"current{_SUFFIX}"

    def day(self, day: datetime.date) -> Path:
        """The file of a day, there or not."""
        return self.path / f"{day.isoformat()}{_SUFFIX}"

    def days(self) -> list[datetime.date]:
        """The days there are files of, oldest first."""
        return sorted(day for day, _ in self._days())

    def size(self) -> int:
        """Bytes of all files."""
        return sum(_size(path) for path in self.path.iterdir())

    def set_aside(self, path: Path) -> None:
        """Rename a damaged file, so that a new one takes its place. One of a name is kept."""
        for beside in _BESIDE:
            path.with_name(path.name + beside).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            path.replace(path.with_name(path.name + _DAMAGED))

    def tidy(self, today: datetime.date, keep_days: int, most_bytes: int) -> list[str]:
        """Remove days that are too old and, while there is too much, the oldest; today stays.

        Returns sentences on what was removed for want of space.
        """
        oldest = today - datetime.timedelta(days=keep_days)
        for path in self._damaged():
            if day_of(path.stat().st_mtime) < oldest or self.size() > most_bytes:
                path.unlink()
        for day in self.days():
            if day < oldest:
                self._remove(day)
        said = []
        for day in self.days():
            if day >= today or self.size() <= most_bytes:
                break
            self._remove(day)
            said.append(f"the history of {day} was removed: all is over {most_bytes} bytes")
        return said

    def _remove(self, day: datetime.date) -> None:
        path = self.day(day)
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)

    def _days(self) -> Iterator[tuple[datetime.date, Path]]:
        for path in self.path.glob(f"*{_SUFFIX}"):
            with suppress(ValueError):
                yield datetime.date.fromisoformat(path.name.removesuffix(_SUFFIX)), path

    def _damaged(self) -> Iterator[Path]:
        yield from self.path.glob(f"*{_DAMAGED}")


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
