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

from stellwerk.metrics.report.question import Question, QuestionError

if TYPE_CHECKING:
    from stellwerk.settings.files import HostFile

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
    host: "HostFile"
    until: float


class Reports:
    """Reports on a host from the history in a folder, one at a time; and, on a host in `monitors`,
    on the cluster, for which this host's monitor is asked as all others are.
    """

    def __init__(
        self, host: "HostFile", folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._host = host
        self._folder = folder
        self._clock = clock
        self._of_host = asyncio.Lock()
        self._of_cluster = asyncio.Lock()
        self.knows_cluster: Final = any(
            one.name == host.name and "monitors" in one.groups for one in host.members
        )

    async def document(self, question: Question) -> bytes:
        """The report on the period that ends now, in JSON. Raises QuestionError, ReportError."""
        return await self._written(Form.DOCUMENT, question)

    async def page(self, question: Question) -> bytes:
        """The same as an HTML page. Raises QuestionError, ReportError."""
        return await self._written(Form.PAGE, question)

    async def _written(self, form: Form, question: Question) -> bytes:
        if question.cluster and not self.knows_cluster:
            raise QuestionError(
                f"cluster: {self._host.name} knows itself only; a host in monitors knows all."
            )
        async with self._of_cluster if question.cluster else self._of_host:
            order = Order(form, question, self._folder, self._host, self._clock())
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
