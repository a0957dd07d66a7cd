"""Writes reports whole or not at all, and reads earlier ones back."""

import json
import os
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from stellwerk.loadtest.comparison import Conditions, EarlierRun
from stellwerk.loadtest.document import earlier_run

_MOST_READ = 1000


class ReportError(Exception):
    """A report cannot be written or read; the message is one sentence."""


def write_report(path: Path, text: str) -> None:
    """Put `text` at `path`, in the place of an older report at once. Raises ReportError."""
    temporary: Path | None = None
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
        raise ReportError(f"{path}: the report was not written: {error.strerror}") from None


def check_writable(path: Path) -> None:
    """Raise ReportError now rather than after the run where `path` cannot become a report."""
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise ReportError(f"{path}: is a folder; name a file for the report")
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise ReportError(f"{path}: there is no folder {path.parent} to write the report to")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ReportError(f"{path}: the folder {path.parent} cannot be written to")


class History:
    """A folder of earlier reports, one file for each run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make sure of the folder. Raises ReportError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReportError(
                f"{self._folder}: the folder of earlier runs cannot be made: {error.strerror}"
            ) from None

    def earlier(self, wanted: Conditions, runs: int) -> list[EarlierRun]:
        """The newest good runs under these conditions. Raises ReportError."""
        found: list[EarlierRun] = []
        paths = sorted(self._folder.glob(f"{wanted.scenario}-*.json"), reverse=True)
        for path in paths[:_MOST_READ]:
            run = _read(path, wanted)
            if run is not None:
                found.append(run)
            if len(found) == runs:
                break
        return found

    def add(self, scenario: str, started_at: datetime, text: str) -> None:
        """Keep a report. Raises ReportError."""
        moment = started_at.strftime("%Y%m%dT%H%M%S.%fZ")
        write_report(self._folder / f"{scenario}-{moment}.json", text)


def _read(path: Path, wanted: Conditions) -> EarlierRun | None:
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        return earlier_run(values, wanted)
    except OSError as error:
        raise ReportError(f"{path}: the earlier run cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReportError(
            f"{path}: is not the report of a load test; remove it from the folder of earlier runs"
        ) from None
