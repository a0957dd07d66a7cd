"""What every run of the matrix of edits changes and costs, under load; put into docs/edits.md."""

import tempfile
from pathlib import Path

from tests.bench.table import Figure, show
from tests.lab.conftest import SIX
from tests.lab.editing import Editor
from tests.lab.edits_page import FIGURES, PAGE, Measured, figures, put_into
from tests.lab.platform import Platform
from tests.lab.steps import STEPS
from tests.lab.test_edits import at_rest, begin, under_load
from tests.lab.traffic import Traffic, doors

RATE = 100  # requests per second through each of the two balancers


def main() -> None:
    """Measure on six hosts in a lab of their own, which is taken down again."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform("bench-edits", SIX, Path(folder))
        try:
            platform.lab.up()
            platform.lab.reset("bare")
            begin(platform)
            measured = _measure(platform, Path(folder))
        finally:
            platform.lab.down()
    put_into(PAGE, FIGURES, figures(measured))
    show(
        f"{sum(one.edits for one in measured)} edits in {len(measured)} runs",
        [
            Figure("failed requests", str(sum(one.failed for one in measured)), "0"),
            Figure("requests", str(sum(one.requests for one in measured)), "-"),
            Figure("longest run", f"{max(one.seconds for one in measured):.0f} s", "-"),
        ],
    )


def _measure(platform: Platform, folder: Path) -> list[Measured]:
    editor = Editor(platform, lambda: at_rest(platform))
    found = []
    for step, edits in STEPS.items():
        address = str(platform.lab.addresses["lb-1"])
        traffic = Traffic(platform, folder, doors(address), RATE)
        applied, _ = under_load(editor, traffic, edits)
        found.append(
            Measured(
                step,
                len(edits),
                applied.changed_operations,
                len(applied.reloads),
                len(applied.restarts),
                len(applied.rolls),
                applied.seconds,
                traffic.requests,
                sum(traffic.failures.values()),
            )
        )
    return found
