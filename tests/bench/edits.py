"""What every run of the matrix of edits changes and costs, under load; put into docs/edits.md."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.table import Figure, show
from tests.lab.conftest import SIX
from tests.lab.editing import Editor
from tests.lab.edits import Edit
from tests.lab.edits_page import FIGURES, PAGE, Measured, figures, put_into
from tests.lab.platform import Node, Platform
from tests.lab.proving import under_load
from tests.lab.redis_cluster import CACHES
from tests.lab.steps import REDIS_STEPS, STEPS
from tests.lab.test_edits import at_rest, begin, prepare

RATE = 100  # requests per second through each of the two balancers


def main() -> None:
    """Measure on six hosts, then on three with Redis only; their labs are taken down again."""
    with _cluster("bench-edits", SIX) as platform:
        begin(platform)
        measured = _measure(platform, STEPS, lambda: at_rest(platform))
    with _cluster("bench-redis", CACHES) as platform:
        platform.deploy()
        steps = {f"{step}, three cache hosts": edits for step, edits in REDIS_STEPS.items()}
        measured += _measure(platform, steps)
    put_into(PAGE, FIGURES, figures(measured))
    noticed = [one.noticed for one in measured]
    show(
        f"{sum(one.edits for one in measured)} edits in {len(measured)} runs",
        [
            Figure("failed requests", str(sum(one.failed for one in noticed)), "0"),
            Figure("requests", str(sum(one.requests for one in noticed)), "-"),
            Figure("lost writes", str(sum(len(one.lost_writes) for one in noticed)), "0"),
            Figure("writes to Redis", str(sum(one.writes for one in noticed)), "-"),
            Figure(
                "longest without a write",
                f"{max(one.seconds_without_writes for one in noticed):.1f} s",
                "7 s",
            ),
            Figure("longest run", f"{max(one.applied.seconds for one in measured):.0f} s", "-"),
        ],
    )


@contextmanager
def _cluster(name: str, nodes: Sequence[Node]) -> Iterator[Platform]:
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(name, nodes, Path(folder))
        try:
            platform.lab.up()
            platform.lab.reset("bare")
            yield platform
        finally:
            platform.lab.down()


def _measure(
    platform: Platform,
    steps: Mapping[str, tuple[Edit, ...]],
    rest: Callable[[], bool] = lambda: True,
) -> list[Measured]:
    editor = Editor(platform, rest)
    found = []
    for step, edits in steps.items():
        prepare(platform, edits)
        applied, noticed, _ = under_load(editor, platform.folder, RATE, edits)
        found.append(Measured(step, len(edits), applied, noticed))
    return found
