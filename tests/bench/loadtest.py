"""Measures the load generator: `python -m tests.bench loadtest` shows each figure beside its bar.

A quiet machine with two cores is assumed: one for the generator, one for the server.
"""

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from urllib.request import urlopen

from stellwerk.endpoint import Endpoint
from stellwerk.loadtest.endpoint import QUANTILES
from stellwerk.loadtest.mix import Mix
from stellwerk.loadtest.plan import Parameter, Plan, Request, Target
from stellwerk.loadtest.planning import Kind, Planned
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.run import run
from stellwerk.loadtest.schedule import Schedule
from stellwerk.loadtest.weakness import busiest
from stellwerk.metrics.histogram import RELATIVE_ERROR, Histogram
from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.seed import ensure_data
from tests.bench.table import Figure, show
from tests.unit.database.postgres_server import find_binaries, running

_REPOSITORY = Path(__file__).parents[2]
_REPEATS = 3
_SECONDS = 5.0


def main() -> None:
    """Measure one thing after the other and show each group of figures."""
    for title, measure in (
        ("histogram", _histogram),
        ("a server that stalls for 2 s under 200 requests/s", _stall),
        ("1000 requests/s against a trivial server", _own_latency),
        ("5000 requests/s from one process against a trivial server", _capacity),
        ("test data", _seed),
    ):
        show(title, list(measure()))


def _histogram() -> Iterator[Figure]:
    random = Random(1)
    values = [random.lognormvariate(-4, 1.5) for _ in range(100_000)]
    histogram = Histogram()
    began = time.perf_counter()
    for value in values:
        histogram.add(value)
    microseconds = 1e6 * (time.perf_counter() - began) / len(values)
    values.sort()
    for name, share in QUANTILES.items():
        exact = _exact(values, share)
        error = abs((histogram.quantile(share) or 0.0) - exact) / exact
        yield Figure(f"error of {name}", f"{error:.2%}", f"at most {RELATIVE_ERROR:.0%}")
    yield Figure("time to count one value", f"{microseconds:.2f} µs", "-")


def _stall() -> Iterator[Figure]:
    """200 requests/s for 20 s; the server freezes for 2 s after 8.

    The truth is when the server itself says that it answered each request. What the freeze alone
    would have made of it is shown beside: the server has 400 requests to work off afterwards.
    """
    planned = _planned(rate=200, seconds=20, users=500)
    with _server("8", "2") as (target, next_line):
        record = _run(planned, target)
        began, ended = map(float, next_line().split())
        with urlopen(f"{target.url}/moments") as answer:
            moments = json.load(answer)
    schedule, mix = planned.plan.schedule, Mix(planned.plan)
    starts = [record.start + schedule.start_of(number) for number in range(schedule.total)]
    # The same seed draws the same requests, in the order of their numbers.
    paths = [mix.draw().payload.split(None, 2)[1].decode() for _ in starts]
    pairs = zip(starts, paths, strict=True)
    truth = sorted(moments[path] - moment for moment, path in pairs)
    freeze = sorted(ended - moment if began <= moment < ended else 0.0 for moment in starts)
    cell = record.judged()
    yield Figure("requests answered", f"{cell.succeeded}", f"{schedule.total}")
    for name in ("p95", "p99"):
        measured = cell.response.quantile(QUANTILES[name]) or 0.0
        for what, values, bar in (
            ("the server's own truth", truth, "within 5 %"),
            ("the freeze alone", freeze, "-"),
        ):
            exact = _exact(values, QUANTILES[name])
            yield Figure(
                f"{name} beside {what}, {1000 * exact:.0f} ms",
                f"{1000 * measured:.0f} ms ({(measured - exact) / exact:+.1%})",
                bar,
            )


def _own_latency() -> Iterator[Figure]:
    records = _repeated(_planned(rate=1000, seconds=_SECONDS, users=50))
    cells = [record.judged() for record in records]
    response = [1000 * (cell.response.quantile(0.5) or math.nan) for cell in cells]
    service = [1000 * (cell.service.quantile(0.5) or math.nan) for cell in cells]
    yield Figure("median from the intended start", f"{median(response):.2f} ms", "less than 1 ms")
    yield Figure("median from the sending", f"{median(service):.2f} ms", "-")
    yield _cpu(records)


def _capacity() -> Iterator[Figure]:
    records = _repeated(_planned(rate=5000, seconds=_SECONDS, users=200))
    rates = [record.judged().succeeded / record.window.length for record in records]
    late = [record.workers[0].late / max(1, record.workers[0].started) for record in records]
    yield Figure("answered", f"{median(rates):.0f} requests/s", "5000 requests/s")
    yield Figure("started more than 10 ms late", f"{median(late):.2%}", "at most 1 %")
    yield _cpu(records)


def _cpu(records: list[RunRecord]) -> Figure:
    share = median(busiest(record) or math.nan for record in records)
    return Figure("CPU of the process", f"{share:.0%} of a core", "at most 80 %")


def _seed() -> Iterator[Figure]:
    binaries = find_binaries()
    if binaries is None:
        yield Figure("seeding PostgreSQL", "no PostgreSQL server is installed here", "-")
        return
    with running(binaries) as server:
        address = DatabaseAddress(Endpoint(str(server.data.parent), 5432), "postgres", "postgres")
        began = time.perf_counter()
        ensure_data(address, 1, [])
        yield Figure("seeding", f"{time.perf_counter() - began:.1f} s", "at most 30 s")


def _repeated(planned: Planned) -> list[RunRecord]:
    records = []
    for _ in range(_REPEATS):
        with _server() as (target, _):
            records.append(_run(planned, target))
    return records


def _planned(*, rate: float, seconds: float, users: int) -> Planned:
    plan = Plan(
        Target("127.0.0.1", 0),
        Schedule(rate, seconds),
        users,
        (Request("GET /", "/api/things?id={id}"),),
        {"id": Parameter(first=1, last=10**12)},
    )
    return Planned("bench", 1.0, plan, (Kind("GET /", "bench", ()),))


def _run(planned: Planned, target: Target) -> RunRecord:
    """Run with one process."""

    async def no_display(record: RunRecord) -> None:
        del record
        await asyncio.sleep(math.inf)

    ready = replace(planned, plan=replace(planned.plan, target=target))
    return asyncio.run(run(ready, processes=1, sources=(), sample_interval=5, display=no_display))


@contextmanager
def _server(*arguments: str) -> Iterator[tuple[Target, Callable[[], str]]]:
    """A server in a process of its own, and what reads its next line."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.loadtest_server", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_REPOSITORY,
    ) as process:
        assert process.stdout is not None
        try:
            yield Target("127.0.0.1", int(process.stdout.readline())), process.stdout.readline
        finally:
            process.kill()


def _exact(ordered: list[float], share: float) -> float:
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


if __name__ == "__main__":
    main()
