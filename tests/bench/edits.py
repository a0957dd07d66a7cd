"""What every edit of the matrix changes and costs, each in a run of its own under load; how long an
edit takes to be in force, and a rolling restart. Put into docs/edits.md.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.table import Figure, show
from tests.lab.clients import clients
from tests.lab.conftest import SIX
from tests.lab.editing import Editor
from tests.lab.edits_page import BARS, FIGURES, PAGE, Measured, bars, figures
from tests.lab.platform import Platform
from tests.lab.proving import assert_expected
from tests.lab.steps import STEPS
from tests.lab.test_edits import at_rest, prepare
from tests.lab.test_instances import BALANCER, CORE, explain, instances, restart
from tests.lab.traffic import Traffic, allow_slow_requests, doors
from tests.markdown import put_into

RATE = 100  # requests per second through each of the two balancers
ROLLING_RATE = 200  # requests per second through HAProxy
ROUNDS = 5
AFTER_HAPROXY = "Starting operation: deploys/nginx.py"  # the next thing that a run does


def main() -> None:
    """Measure on six hosts in a lab of their own, which is taken down again.

    The page is written after each edit, so that a run that was cut short leaves what it measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform("bench-edits", SIX, Path(folder))
        try:
            platform.lab.up()
            platform.lab.reset("bare")
            allow_slow_requests(platform, canary_seconds=1)
            platform.deploy()
            also = [*_haproxy(platform), *_rolling_restart(platform)]
            rows: list[Measured] = []
            for row in _measured(platform):
                rows.append(row)
                put_into(PAGE, FIGURES, figures(rows))
                put_into(PAGE, BARS, bars([*also, *_sums(rows)]))
        finally:
            platform.lab.down()
    show(f"{len(rows)} edits", [*also, *_sums(rows)])


def _haproxy(platform: Platform) -> list[Figure]:
    """One setting of HAProxy, on a platform that is otherwise as declared."""
    values = range(41, 41 + ROUNDS)
    active, ended = zip(*(_edited(platform, value) for value in values), strict=True)
    platform.deploy()
    what = f"a setting of HAProxy from the edit until {{}}, median of {ROUNDS}"
    return [
        Figure(what.format("it is active on all hosts"), _spread(active), "at most 6 s"),
        Figure(what.format("the whole platform is verified"), _spread(ended), "-"),
    ]


def _edited(platform: Platform, value: int) -> tuple[float, float]:
    """Seconds until every HAProxy has said that it uses the value, and until the run's end."""
    start, active = time.perf_counter(), 0.0
    with platform.start("--data", f"haproxy.timeouts.server_seconds={value}") as run:
        assert run.stdout is not None
        for line in run.stdout:
            if AFTER_HAPROXY in line and not active:
                active = time.perf_counter() - start
    assert run.returncode == 0
    assert active
    return active, time.perf_counter() - start


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"


def _rolling_restart(platform: Platform) -> list[Figure]:
    """All instances of the core service, one after the other."""
    door, _ = doors(str(platform.lab.addresses[BALANCER]))
    with Traffic(platform, platform.folder, [door], ROLLING_RATE) as clients:
        start = time.perf_counter()
        restart(platform, CORE)
        seconds = time.perf_counter() - start
    count = len(instances(platform, CORE))
    what = f"rolling restart of {count} instances of {CORE} under {ROLLING_RATE} requests/s"
    return [
        Figure(what, f"{seconds:.0f} s, {clients.requests} requests", "-"),
        Figure("failed requests meanwhile", str(sum(clients.failures.values())), "0"),
    ]


def _sums(rows: Sequence[Measured]) -> list[Figure]:
    noticed = [one.noticed for one in rows]
    restarted = [one.noticed.seconds_without_writes for one in rows if one.edit.fails_over]
    other = [one.edit.name for one in rows if not _is_expected(one)]
    return [
        Figure("edits that reached something else", ", ".join(other) or "none", "none"),
        Figure("failed requests under all edits", str(sum(one.failed for one in noticed)), "0"),
        Figure("requests under all edits", str(sum(one.requests for one in noticed)), "-"),
        Figure("lost writes", str(sum(len(one.lost_writes) for one in noticed)), "0"),
        Figure("writes to Redis", str(sum(one.writes for one in noticed)), "-"),
        Figure(
            "forced restart of the Redis master: longest without a write",
            f"{max(restarted):.1f} s" if restarted else "-",
            "at most 7 s",
        ),
    ]


def _is_expected(one: Measured) -> bool:
    try:
        assert_expected(one.applied, (one.edit,))
    except AssertionError as reason:
        print(f"{one.edit.name}: {reason}")
        return False
    return True


def _measured(platform: Platform) -> Iterator[Measured]:
    editor = Editor(platform, lambda: at_rest(platform), lambda: explain(platform))
    for edit in (edit for edits in STEPS.values() for edit in edits):
        prepare(platform, (edit,))
        with clients(platform, platform.folder, RATE) as noticed:
            applied = editor.apply(edit)
        print(f"{edit.name}: {applied.seconds:.1f} s", flush=True)
        yield Measured(edit, applied, noticed)
