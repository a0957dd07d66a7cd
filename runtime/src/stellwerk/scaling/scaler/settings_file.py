"""The host's settings as they are now: a daemon that asks again and again needs no restart."""

import logging
from pathlib import Path
from typing import Final

from stellwerk.settings.errors import SettingsError
from stellwerk.settings.files import HostFile, read_host_file

_logger: Final = logging.getLogger(__name__)


class SettingsFile:
    """Reads the file again when it is another one. Raises SettingsError at first only: what cannot
    be read later leaves the settings as they were.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = self._look()
        self._host = read_host_file(path)

    def __call__(self) -> HostFile:
        """What it says: the same object as long as it says the same."""
        mark = self._look()
        if mark != self._mark:
            self._mark = mark
            try:
                self._host = read_host_file(self._path)
                _logger.info("%s has changed and is followed.", self._path)
            except SettingsError as error:
                _logger.warning("%s What it said before stays in force.", error)
        return self._host

    def _look(self) -> tuple[int, ...]:
        try:
            seen = self._path.stat()
        except OSError:
            return ()
        return (seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size)
