"""Looks at collectors for tests: what was found, by metric and labels; what stops a program."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stellwerk.metrics.collectors.collector import Collector
from stellwerk.metrics.model import Metric
from stellwerk.metrics.reading import Reading

SECONDS = 5.0


async def look(collector: Collector, seconds: float = SECONDS) -> Reading:
    """The reading of a collector of one subject."""
    (reading,) = await collector.look(seconds)
    return reading


def value(reading: Reading, metric: Metric, **labels: str) -> float | None:
    """The value of the sample of a metric, whose labels include these; None where there is none."""
    found = [
        sample.value
        for sample in reading.samples
        if sample.series.metric is metric and set(labels.items()) <= set(sample.series.labels)
    ]
    assert len(found) <= 1
    return found[0] if found else None


@contextmanager
def frozen(*processes: int) -> Iterator[None]:
    """Processes that neither answer nor end, with all that they have started."""
    members = [pid for process in processes for pid in _family(process)]
    for pid in members:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(members):
            os.kill(pid, signal.SIGCONT)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


async def within(seconds: float, collector: Collector) -> Reading:
    """A look that must come back although its subject does not answer."""
    async with asyncio.timeout(SECONDS):
        return await look(collector, seconds)
