"""Runs a plan: starts the workers, collects their reports, asks the watched hosts."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from stellwerk.loadtest import watch
from stellwerk.loadtest.plan import Plan
from stellwerk.loadtest.planning import Planned
from stellwerk.loadtest.record import RunRecord, WorkerRecord
from stellwerk.loadtest.worker import READY, Report

_HEAD_START_SECONDS: Final = 0.3  # for all workers to have read the moment to start
_LONGEST_REPORT_BYTES: Final = 64 * 1024 * 1024
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Display = Callable[[RunRecord], Coroutine[None, None, None]]
"""Shows a run as it goes on, until cancelled."""


class WorkerError(Exception):
    """A worker process could not do its work; the message is one sentence."""


async def run(
    planned: Planned,
    *,
    processes: int,
    sources: Sequence[watch.Source],
    sample_interval: float,
    display: Display,
    samples: Sequence[watch.Sample] = (),
    no_hosts: str = "",
) -> RunRecord:
    """Run a plan to its end, or until SIGINT or SIGTERM; return what was measured.

    + samples: what the sources said before the start
    + no_hosts: why no host of a cluster is among the sources

    Raises WorkerError where the workers could not be started.
    """
    record = RunRecord(
        planned,
        [WorkerRecord() for _ in range(processes)],
        samples=list(samples),
        sources=tuple(source.name for source in sources),
        no_hosts=no_hosts,
    )
    workers = [_Worker(planned.plan.part(number, processes)) for number in range(processes)]
    try:
        await asyncio.gather(*(worker.prepare() for worker in workers))
        record.start = time.monotonic() + _HEAD_START_SECONDS
        for worker in workers:
            worker.start(record.start)
        with _Interruption(record, workers):
            await _accompany(record, workers, sources, sample_interval, display)
    finally:
        await asyncio.gather(*(worker.end() for worker in workers))
    return record


async def _accompany(
    record: RunRecord,
    workers: "Sequence[_Worker]",
    sources: Sequence[watch.Source],
    sample_interval: float,
    display: Display,
) -> None:
    beside = [
        asyncio.create_task(watch.watch(sources, sample_interval, record.start, record.samples)),
        asyncio.create_task(display(record)),
    ]
    try:
        await asyncio.gather(*(_collect(record, number, workers) for number in range(len(workers))))
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _collect(record: RunRecord, number: int, workers: "Sequence[_Worker]") -> None:
    """Take in all reports of a worker. Where it breaks, the others are stopped."""
    try:
        while (report := await workers[number].report()) is not None:
            record.recording.add(report.cells)
            record.workers[number].add(report)
            _advance(record)
    except WorkerError as error:
        record.broken = str(error)
        for worker in workers:
            worker.stop()


def _advance(record: RunRecord) -> None:
    """Note how far the run has come, unless it has been ended."""
    if not record.interrupted:
        duration = record.planned.plan.schedule.duration
        record.elapsed = min(max(0.0, time.monotonic() - record.start), duration)


class _Interruption:
    """While entered, a signal ends the run instead of the program."""

    def __init__(self, record: RunRecord, workers: "Sequence[_Worker]") -> None:
        self._record = record
        self._workers = workers

    def __enter__(self) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _interrupt(self) -> None:
        _advance(self._record)
        self._record.interrupted = True
        for worker in self._workers:
            worker.stop()


class _Worker:
    """A worker process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: asyncio.subprocess.Process | None = None

    async def prepare(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stellwerk.loadtest.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_REPORT_BYTES,
        )
        self._tell(self._plan.to_json())
        line = await self._output.readline()
        if line.decode().strip() != READY:
            raise WorkerError(await self._failure())

    def start(self, moment: float) -> None:
        self._tell(repr(moment))

    def stop(self) -> None:
        self._input.close()

    async def report(self) -> Report | None:
        """The next report; None after the last one. Raises WorkerError where that is missing."""
        line = await self._output.readline()
        if line:
            report = Report(**json.loads(line))
            self._reported_last = report.last
            return report
        if not self._reported_last:
            raise WorkerError(await self._failure())
        return None

    async def end(self) -> None:
        """Make sure that the process is gone."""
        if self._process is None:
            return
        if self._process.returncode is None and not self._reported_last:
            self._process.kill()
        self._input.close()
        await self._process.wait()

    _reported_last = False

    @property
    def _input(self) -> asyncio.StreamWriter:
        assert self._process is not None
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> asyncio.StreamReader:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def _tell(self, line: str) -> None:
        self._input.write(f"{line}\n".encode())

    async def _failure(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        said = (await self._process.stderr.read()).decode(errors="replace").strip()
        code = await self._process.wait()
        last = said.splitlines()[-1] if said else f"exit code {code}"
        return f"A process of the load generator ended: {last}"
