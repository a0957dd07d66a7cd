"""A process that runs a part of a plan. It talks JSON lines: the plan and the moment to start come
in, `Report`s go out every second, and the end of its input ends it.
"""

import asyncio
import gc
import json
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TextIO

from stellwerk.loadtest.connection import tls_context
from stellwerk.loadtest.generator import Generator, Pace
from stellwerk.loadtest.plan import Plan
from stellwerk.loadtest.precise_loop import new_event_loop

READY: Final = "ready"
_REPORT_SECONDS: Final = 1.0
_OTHER_FILES: Final = 32


@dataclass(frozen=True)
class Report:
    """What happened since the last report; `in_flight`, `waiting` and `worst_seconds` are as of
    now. CPU and elapsed time in seconds.
    """

    elapsed: float
    cpu: float
    started: int
    late: int
    worst_seconds: float
    repeated: int
    own_failures: int
    in_flight: int
    waiting: int
    last: bool
    cells: list[dict[str, Any]] = field(repr=False)


class _Reporter:
    """Writes the differences from report to report."""

    def __init__(self, generator: Generator, output: TextIO) -> None:
        self._generator = generator
        self._output = output
        self._time = time.monotonic()
        self._cpu = time.process_time()
        self._pace = Pace()

    def write(self, *, last: bool = False) -> None:
        now, cpu, pace = time.monotonic(), time.process_time(), self._generator.pace
        report = Report(
            elapsed=now - self._time,
            cpu=cpu - self._cpu,
            started=pace.started - self._pace.started,
            late=pace.late - self._pace.late,
            worst_seconds=pace.worst_seconds,
            repeated=pace.repeated - self._pace.repeated,
            own_failures=pace.own_failures - self._pace.own_failures,
            in_flight=self._generator.in_flight,
            waiting=self._generator.waiting,
            last=last,
            cells=self._generator.tally.take(),
        )
        self._time, self._cpu, self._pace = now, cpu, replace(pace)
        print(json.dumps(asdict(report)), file=self._output, flush=True)


def main() -> None:
    """Run the part of a plan that comes in, then report and end."""
    # Ctrl-C goes to every process of the terminal; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan = Plan.from_json(sys.stdin.readline())
    _allow_connections(plan.users)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(plan))


async def _run(plan: Plan) -> None:
    generator = Generator(plan, tls_context(plan.target))
    print(READY, flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    if not line:
        return
    gc.collect()
    gc.freeze()  # what was loaded stays: collections need not look at it
    start = float(line)
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    reporter = _Reporter(generator, sys.stdout)
    asyncio.get_running_loop().add_reader(sys.stdin, generator.stop)
    reporting = asyncio.create_task(_report(reporter))
    try:
        await generator.run(start)
    finally:
        reporting.cancel()
    reporter.write(last=True)


async def _report(reporter: _Reporter) -> None:
    while True:
        await asyncio.sleep(_REPORT_SECONDS)
        reporter.write()


def _allow_connections(count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + _OTHER_FILES:
        sys.exit(f"{count} users need more open files than the limit of {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
