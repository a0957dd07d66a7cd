"""Messages that wait for one receiver, kept on disk so that a restart loses none."""

import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellwerk.notifications.message import Message, from_json, to_json

MOST_MESSAGES: Final = 200
"""Messages that wait; of more, the oldest are dropped."""

_DIGITS: Final = 20  # nanoseconds since 1970, so that names sort by age

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A message with its place in the queue: later ones have higher numbers."""

    number: int
    message: Message


class Outbox:
    """A queue in a folder: a file per message, in memory as well.

    Where the disk is full or broken messages still go out: that is when they are needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting = deque(_read(folder))

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Message) -> None:
        """Put a message at the end."""
        entry = Waiting(self._next_number(), message)
        self._waiting.append(entry)
        path = self._path(entry.number)
        try:
            _write(path, to_json(message))
        except OSError as error:
            _logger.error("%s: a message is kept in memory only: %s", path, error.strerror)
        while len(self._waiting) > MOST_MESSAGES:
            _logger.error("%s: more messages wait than are kept; one is dropped", self._folder)
            self.remove_through(self._waiting[0].number)

    def waiting(self) -> list[Waiting]:
        """All that waits, the oldest first."""
        return list(self._waiting)

    def remove_through(self, number: int) -> None:
        """Take away the message with this number and all before it."""
        while self._waiting and self._waiting[0].number <= number:
            _unlink(self._path(self._waiting.popleft().number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:0{_DIGITS}d}.json"

    def _next_number(self) -> int:
        """One that sorts behind all before it, also where the clock was set back."""
        newest = self._waiting[-1].number if self._waiting else 0
        return max(time.time_ns(), newest + 1)


def _read(folder: Path) -> list[Waiting]:
    found: list[Waiting] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = sorted(folder.iterdir())
    except OSError as error:
        _logger.error("%s: waiting messages cannot be read: %s", folder, error.strerror)
        return []
    for path in paths:
        if not path.stem.isdecimal() or path.suffix != ".json":
            _unlink(path)  # what a process that was killed had not finished
            continue
        try:
            found.append(Waiting(int(path.stem), from_json(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            _logger.error("%s: is no message and is removed: %s", path, error)
            _unlink(path)
    return found


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _logger.error("%s: cannot be removed: %s", path, error.strerror)
