"""How long deploys take on the lab: from bare hosts, and with nothing to do."""

import re
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.table import Figure, show
from tests.lab.conftest import GROUPS, SIX
from tests.lab.platform import Node, Outcome, Platform

EMPTY_RUNS = 5
DEBIAN_12 = tuple(replace(node, release="bookworm") for node in SIX)
ONE = (Node("solo", "198.18.0.61", GROUPS),)


def main() -> None:
    """Measure six hosts and one host, each in a lab of its own that is taken down again."""
    with tempfile.TemporaryDirectory() as folder:
        for name, nodes, bars in (
            ("bench-six", DEBIAN_12, ("at most 120 s", "at most 5 s")),
            ("bench-one", ONE, ("-", "at most 2 s")),
        ):
            platform = Platform(name, nodes, Path(folder) / name)
            try:
                _measure(platform, bars)
            finally:
                platform.lab.down()


def _measure(platform: Platform, bars: tuple[str, str]) -> None:
    platform.lab.up()
    platform.lab.reset("bare")
    first, first_run = _timed(platform)
    seconds, commands = [], set()
    for _ in range(EMPTY_RUNS):
        taken, outcome = _timed(platform)
        assert outcome.totals["success"] == 0, outcome.output
        seconds.append(taken)
        commands |= _commands(outcome)
    hosts = len(platform.nodes)
    spread = f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
    show(
        f"{hosts} host{'s' * (hosts > 1)}",
        [
            Figure("from bare to verified", f"{first:.0f} s", bars[0]),
            Figure(f"nothing to do, median of {EMPTY_RUNS}", spread, bars[1]),
            Figure("remote commands per host, first run", _range(_commands(first_run)), "-"),
            Figure("remote commands per host, nothing to do", _range(commands), "-"),
        ],
    )


def _timed(platform: Platform) -> tuple[float, Outcome]:
    start = time.perf_counter()
    outcome = platform.deploy()
    return time.perf_counter() - start, outcome


def _commands(outcome: Outcome) -> set[int]:
    return {int(count) for count in re.findall(r"(\d+) remote commands", outcome.stderr)}


def _range(counts: set[int]) -> str:
    return f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
