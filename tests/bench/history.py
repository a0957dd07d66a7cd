"""Measures the monitor's history: `python -m tests.bench history` shows each figure beside its bar.

A week of a thousand series, written as the monitor writes it, and the week before of those that are
reported. Times are of the CPU, unless they are said to be of the clock: what else the machine does
is not in them.
"""

import asyncio
import json
import math
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from statistics import median

from stellwerk.metrics.declarations import postgresql, service
from stellwerk.metrics.histogram import RELATIVE_ERROR, Histogram
from stellwerk.metrics.history.reader import history
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Sample, Series
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.build import build
from stellwerk.metrics.report.process import Reports
from stellwerk.metrics.report.question import Question
from stellwerk.settings.files import HostFile
from stellwerk.settings.root import Settings
from tests.bench.table import Figure, show

SERIES = 1000
REPORTED = 50
DAYS = 7
INTERVAL = 15
BEGIN = 1_750_032_000  # midnight, UTC
END = BEGIN + DAYS * 86400
IN_AN_HOUR = 3600 // INTERVAL
SAMPLES = SERIES * DAYS * 86400 // INTERVAL
REPORTS = 3


def main() -> None:
    """Write the week, read it, and show each group of figures."""
    with tempfile.TemporaryDirectory() as folder:
        show("history: 1,000 series x 15 s x 7 days", list(_written(Path(folder))))
        show("history: reading seven days", list(_read(Path(folder))))
        show(f"a report on seven days, {REPORTED} metrics", list(_reported(Path(folder))))
    show("percentiles of merged histograms", list(_percentiles()))


class _Week:
    """Values as hosts have them, an hour at a time."""

    def __init__(self) -> None:
        self._random = Random(1)
        self._noise = array("d", (self._random.gauss(0, 1) for _ in range(200_000)))
        self._last = [self._random.uniform(20, 80) for _ in range(SERIES)]
        self._makers = [self._maker(place) for place in range(SERIES)]

    def hour(self) -> list[list[float]]:
        """The columns of the next hour."""
        return [maker(place) for place, maker in enumerate(self._makers)]

    def _maker(self, place: int) -> Callable[[int], list[float]]:
        """Of ten series three are constant, three are random walks of two or three decimals, two
        are rates of counters, one is memory in pages and one a small count.
        """
        return (
            self._constant,
            self._percent,
            self._rate,
            self._constant,
            self._milliseconds,
            self._pages,
            self._constant,
            self._percent,
            self._rate,
            self._small_count,
        )[place % 10]

    def _some_noise(self) -> "array[float]":
        first = self._random.randrange(len(self._noise) - IN_AN_HOUR)
        return self._noise[first : first + IN_AN_HOUR]

    def _constant(self, place: int) -> list[float]:
        return [float(place)] * IN_AN_HOUR

    def _percent(self, place: int) -> list[float]:
        return [round(value, 2) for value in self._walk(place, 1.5)]

    def _milliseconds(self, place: int) -> list[float]:
        return [round(value, 3) for value in self._walk(place, 0.2)]

    def _pages(self, place: int) -> list[float]:
        return [round(value) * 4096 / 1024**2 for value in self._walk(place, 2)]

    def _rate(self, place: int) -> list[float]:
        """Bytes between two collections that are not quite 15 s apart."""
        return [
            round(abs(20_000 + 100 * place + 3000 * one)) / (INTERVAL + 0.001 * other)
            for one, other in zip(self._some_noise(), self._some_noise(), strict=True)
        ]

    def _small_count(self, place: int) -> list[float]:
        return [float(max(0, round(place % 20 + one))) for one in self._some_noise()]

    def _walk(self, place: int, step: float) -> list[float]:
        steps = (step * one for one in self._some_noise())
        values = list(accumulate(steps, lambda at, by: abs(at + by), initial=self._last[place]))[1:]
        self._last[place] = values[-1]
        return values


def _all_series() -> list[Series]:
    """The first ones have thresholds, so that they are reported."""
    reported = [
        service.RESPONSE_TIME.series("shop", instance=f"shop@{place}") for place in range(REPORTED)
    ]
    others = range(REPORTED, SERIES)
    return reported + [
        postgresql.TABLE_SIZE.series(database="shop", table=f"table_{place}") for place in others
    ]


def _write_week_before(folder: Path) -> int:
    """What a trend is taken from; its bytes."""
    series, week = _all_series()[:REPORTED], _Week()
    writer = HistoryWriter(folder, keep_days=2 * DAYS, most_bytes=10**9)
    for hour in range(DAYS * 24):
        for place, values in enumerate(zip(*week.hour()[:REPORTED], strict=True)):
            at = BEGIN + (hour - DAYS * 24) * 3600 + place * INTERVAL
            writer.write(at, map(Sample, series, values))
    writer.close()
    return writer.size()


def _written(folder: Path) -> Iterator[Figure]:
    before = _write_week_before(folder)
    series, week = _all_series(), _Week()
    writer = HistoryWriter(folder, keep_days=2 * DAYS, most_bytes=10**9)
    writes: list[float] = []
    packings: list[float] = []
    for hour in range(DAYS * 24):
        for place, values in enumerate(zip(*week.hour(), strict=True)):
            samples = list(map(Sample, series, values))
            began = time.process_time()
            writer.write(BEGIN + hour * 3600 + place * INTERVAL, samples)
            (writes if place else packings).append(time.process_time() - began)
    writer.close()
    size = writer.size() - before
    yield Figure("bytes per sample", f"{size / SAMPLES:.2f}", "at most 2.0")
    yield Figure("all of it", f"{size / 1e6:.0f} MB", "-")
    per_collection = (sum(writes) + sum(packings)) / len(writes + packings)
    yield Figure("CPU per collection", f"{1e3 * per_collection:.2f} ms", "-")
    yield Figure("CPU of a write", f"{1e3 * median(writes):.2f} ms", "-")
    yield Figure("CPU of packing an hour", f"{1e3 * median(packings):.0f} ms", "-")


def _read(folder: Path) -> Iterator[Figure]:
    series = _all_series()
    times = []
    for place in range(0, SERIES, 37):
        began = time.process_time()
        with history(folder, BEGIN, END) as found:
            values = found.points(series[place].key).values
            assert len(values) == SAMPLES // SERIES
            _exact(list(values), 0.95)
        times.append(time.process_time() - began)
    yield Figure("exact p95 of a series, median", f"{1e3 * median(times):.1f} ms", "at most 50 ms")
    yield Figure("exact p95 of a series, worst", f"{1e3 * max(times):.1f} ms", "at most 50 ms")


def _reported(folder: Path) -> Iterator[Figure]:
    settings, question = Settings(), Question("7d")
    times = []
    for _ in range(REPORTS):
        began = time.process_time()
        found = build(question, folder, Registry(settings), "bench", END, INTERVAL)
        times.append(time.process_time() - began)
        assert len(found.lines) == REPORTED
        assert all(line.before is not None for line in found.lines)
    yield Figure("with its trends", f"{median(times):.2f} s", "under 1 s")
    reports = Reports(HostFile("bench", (), settings), folder, clock=lambda: END)
    began = time.monotonic()
    content = asyncio.run(reports.document(question))
    elapsed = time.monotonic() - began
    assert len(json.loads(content)["services"]["shop"]) == REPORTED
    yield Figure("as a monitor answers it, by the clock", f"{elapsed:.2f} s", "-")


def _percentiles() -> Iterator[Figure]:
    """Response times of 20 instances over 40 collections each, merged, against sorting all."""
    random = Random(1)
    exact: list[float] = []
    merged = Histogram()
    for _ in range(20 * 40):
        one = Histogram()
        # Most take some milliseconds; one in fifty waits for something slow.
        values = [
            random.lognormvariate(-4, 0.8) * (30 if random.random() < 0.02 else 1)
            for _ in range(250)
        ]
        for value in values:
            one.add(value)
        merged.merge(Histogram.unpacked(one.packed()))
        exact.extend(values)
    for share in (0.5, 0.95, 0.99):
        true = _exact(exact, share)
        error = abs((merged.quantile(share) or 0) - true) / true
        yield Figure(
            f"error of p{100 * share:.0f}", f"{error:.2%}", f"at most {RELATIVE_ERROR:.0%}"
        )


def _exact(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]
