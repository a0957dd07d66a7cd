"""The monitor of a host: collects at every interval, keeps the history, lets others observe."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from stellwerk import notify
from stellwerk.host import kernel_file
from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.collectors.collector import Collector, Samples
from stellwerk.metrics.declarations import monitor as metrics
from stellwerk.metrics.history.errors import HistoryError
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Metric, Sample, Series, Source
from stellwerk.metrics.monitor.collection import Collection, ticks
from stellwerk.metrics.monitor.latest import Latest
from stellwerk.metrics.reading import Observed, Reading, State

LATE_AFTER: Final = 3
"""Intervals without a collection after which the monitor itself is not well."""

OWN: Final = "stellwerk-monitor"

_MEGABYTE: Final = 1024 * 1024
_MOST_UNWRITTEN: Final = 20  # collections that wait for the disk
_SIZE_EVERY: Final = 20  # collections: it takes a look at every file
_logger: Final = logging.getLogger(__name__)


class Monitor:
    """Collects until cancelled. `open_history` is called in the thread that writes."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        interval: float,
        seconds: float,
        open_history: Callable[[], HistoryWriter],
        alerting: Alerting,
    ) -> None:
        self.latest: Final = Latest()
        self._interval = interval
        self._collection = Collection(collectors, seconds, self._take)
        self._alerting = alerting
        self._own = _Own()
        self._samples: list[Sample] = []
        self._observed: list[Observed] = []
        self._open_history = open_history
        self._history: HistoryWriter | None = None
        # Slow disks hold up the history alone. One thread, as SQLite's connections belong to one.
        self._disk = ThreadPoolExecutor(1, "history")
        self._unwritten = 0
        self._written_times = 0
        self._size = 0
        self._history_problem = ""
        self._last = time.monotonic()
        self._said = ""

    def is_late(self) -> bool:
        """Whether collections no longer come."""
        return time.monotonic() - self._last > LATE_AFTER * self._interval

    async def run(self) -> None:
        """Collect at every interval until cancelled."""
        try:
            async for _ in ticks(self._interval):
                await self.collect()
        finally:
            await self._collection.close()
            await asyncio.to_thread(self._close_history)

    async def collect(self) -> None:
        """Collect once, and pass on what was found."""
        at = time.time()
        await self._collection.collect()
        self._take(OWN, [self._own.reading(at, self.latest.readings, self._alerting)])
        samples, self._samples = self._samples, []
        seen, self._observed = self._observed, []
        self._write(at, samples, seen)
        try:
            self._alerting.observe(samples, at)
        except Exception:
            _logger.exception("A collection cannot be judged; the next one is tried")
        self._last = time.monotonic()
        self._tell()

    def _take(self, collector: str, readings: Sequence[Reading]) -> None:
        self._samples += self.latest.take(collector, readings, time.monotonic())
        for reading in readings:
            self._observed += reading.observed

    # The history.

    def _write(self, at: float, samples: Sequence[Sample], seen: Sequence[Observed]) -> None:
        if self._unwritten >= _MOST_UNWRITTEN:
            self._problem("the disk does not keep up: collections are left out of the history")
            return
        self._unwritten += 1
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._disk, self._written, at, samples, seen)
        writing.add_done_callback(self._is_written)

    def _written(self, at: float, samples: Sequence[Sample], seen: Sequence[Observed]) -> int:
        """In the history's thread: its size afterwards."""
        if self._history is None:
            self._history = self._open_history()
        self._history.write(at, samples, seen)
        self._written_times += 1
        if self._written_times % _SIZE_EVERY == 1:
            self._size = self._history.size()
        return self._size

    def _is_written(self, future: "asyncio.Future[int]") -> None:
        self._unwritten -= 1
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._own.history_bytes = future.result()
            self._problem("")
        elif isinstance(error, HistoryError):
            self._problem(str(error))
        else:
            _logger.error("The history cannot be written", exc_info=error)

    def _problem(self, sentence: str) -> None:
        if sentence and sentence != self._history_problem:
            _logger.warning("%s", sentence)
        elif not sentence and self._history_problem:
            _logger.info("The history is written again")
        self._history_problem = sentence

    def _close_history(self) -> None:
        def close() -> None:
            if self._history is not None:
                self._history.close()

        self._disk.submit(close)
        self._disk.shutdown(wait=True)

    def _tell(self) -> None:
        """Tell systemd, once that the start is over and then what is new."""
        readings = list(self.latest.readings)
        troubled = [one.subject for one in readings if one.state is not State.UP]
        text = f"{len(readings)} subjects"
        if troubled:
            text += f", not well: {', '.join(troubled)}"
        if text != self._said:
            first, self._said = not self._said, text
            (notify.ready if first else notify.status)(text)


class _Own:
    """What the monitor says of itself."""

    def __init__(self) -> None:
        self.history_bytes: int | None = None
        self._samples = Samples()
        self._subjects: dict[tuple[str, str], tuple[Series, Series]] = {}
        self._receivers: dict[str, Samples] = {}

    def reading(self, at: float, readings: Iterable[Reading], alerting: Alerting) -> Reading:
        values: list[tuple[Metric, float | None]] = [
            (metrics.CPU, time.process_time()),
            (metrics.MEMORY, resident_bytes() / _MEGABYTE),
            (metrics.HISTORY, _megabytes(self.history_bytes)),
            (metrics.ALERTS, len(alerting.center.alerts())),
        ]
        samples = self._samples.of(values)
        for receiver, waiting in alerting.queued.items():
            if receiver not in self._receivers:
                self._receivers[receiver] = Samples(receiver=receiver)
            samples += self._receivers[receiver].of(((metrics.UNSENT, waiting),))
        for one in readings:
            if one.source is not Source.MONITOR:
                samples += self._of(one)
        return Reading(Source.MONITOR, OWN, at, 0.0, State.UP, samples=tuple(samples))

    def _of(self, reading: Reading) -> list[Sample]:
        key = (reading.source, reading.subject)
        if key not in self._subjects:
            labels = {"source": reading.source.value, "subject": reading.subject}
            self._subjects[key] = (
                metrics.READABLE.series(**labels),
                metrics.COLLECTION.series(**labels),
            )
        readable, collection = self._subjects[key]
        return [
            Sample(readable, float(reading.state is State.UP)),
            Sample(collection, 1000 * reading.duration),
        ]


def resident_bytes() -> int:
    """The memory this process has resident."""
    return int(kernel_file.read("/proc/self/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _megabytes(size: int | None) -> float | None:
    return None if size is None else size / _MEGABYTE
