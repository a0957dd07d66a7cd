"""Shows a run while it goes on: one line that changes on a terminal, else a line now and then."""

import asyncio
from typing import Final, TextIO

from stellwerk.loadtest.check import clock, figure
from stellwerk.loadtest.record import RunRecord
from stellwerk.terminal.screen import Screen

_ON_TERMINAL_SECONDS: Final = 1.0
_PLAIN_SECONDS: Final = 10.0
_RECENT_SECONDS: Final = 5


class Progress:
    """Writes to a stream for people."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = Screen(stream)

    async def show(self, record: RunRecord) -> None:
        """Show the run until cancelled."""
        pause = _ON_TERMINAL_SECONDS if self._screen.is_terminal else _PLAIN_SECONDS
        try:
            while True:
                await asyncio.sleep(pause)
                self._screen.show([progress_line(record)])
        finally:
            self._screen.clear()


def progress_line(record: RunRecord) -> str:
    """The state of a run, over its last seconds, in one line."""
    schedule = record.planned.plan.schedule
    end = int(record.elapsed)
    recent = range(max(0, end - _RECENT_SECONDS), end)
    cell = record.merged(recent)
    p95 = cell.response.quantile(0.95)
    waiting = sum(worker.waiting for worker in record.workers)
    parts = [
        f"{clock(record.elapsed)} of {clock(schedule.duration)}",
        f"{cell.answered / max(1, len(recent)):.0f} answered/s",
        "p95 -" if p95 is None else f"p95 {figure(1000 * p95)} ms",
        f"errors {figure(cell.error_percent or 0.0)} %",
        f"in flight {sum(worker.in_flight for worker in record.workers)}",
        *([f"waiting {waiting}"] if waiting else []),
        *_busiest_host(record),
        *(["ramp-up"] if record.elapsed < schedule.ramp_up else []),
    ]
    return " · ".join(parts)


def _busiest_host(record: RunRecord) -> list[str]:
    """Where the CPU was highest when each host was asked last."""
    last = {sample.source: sample.readings for sample in record.samples}
    found = [
        (readings["cpu_percent"], name)
        for name, readings in last.items()
        if "cpu_percent" in readings
    ]
    return [f"CPU {figure(cpu)} % {name}" for cpu, name in [max(found)]] if found else []
