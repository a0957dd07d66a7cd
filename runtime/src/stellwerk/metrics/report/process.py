"""Builds reports in a process of its own.

Its seconds of work would hold up collections, and be in the times they measure; its memory would
stay with the monitor.
"""

import asyncio
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stellwerk.metrics.report.question import Question

if TYPE_CHECKING:
    from stellwerk.settings.root import Settings

_PROGRAM: Final = "stellwerk.metrics.report"


class ReportError(Exception):
    """There is no report; one sentence says why."""


class Form(Enum):
    """What a report is written as."""

    DOCUMENT = "document"
    PAGE = "page"


@dataclass(frozen=True)
class Order:
    """What the process is handed."""

    form: Form
    question: Question
    folder: Path
    settings: "Settings"
    host: str
    until: float


class Reports:
    """Reports on a host from the history in a folder, one at a time."""

    def __init__(
        self,
        host: str,
        folder: Path,
        settings: "Settings",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._alone = asyncio.Lock()

    async def document(self, question: Question) -> bytes:
        """The report on the period that ends now, in JSON. Raises ReportError."""
        return await self._written(Form.DOCUMENT, question)

    async def page(self, question: Question) -> bytes:
        """The same as an HTML page. Raises ReportError."""
        return await self._written(Form.PAGE, question)

    async def _written(self, form: Form, question: Question) -> bytes:
        async with self._alone:
            now = self._clock()
            order = Order(form, question, self._folder, self._settings, self._host, now)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _PROGRAM,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                written, said = await process.communicate(pickle.dumps(order))
            finally:
                if process.returncode is None:  # whoever asked has given up
                    process.kill()
            if process.returncode:
                raise ReportError(said.decode(errors="replace").strip().rpartition("\n")[2])
            return written
