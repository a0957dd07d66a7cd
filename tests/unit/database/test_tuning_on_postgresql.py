"""Every tuning is accepted by the PostgreSQL it is made for (`postgres -C`: names and ranges)."""

import json
from itertools import product

import pytest

from stellwerk.database.configuration import render
from stellwerk.database.figures import Disk, Workload
from stellwerk.database.quantities import MEBIBYTE
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from tests.unit.database.postgres_server import Binaries, scratch_folder
from tests.unit.database.test_tuning_beside_peers import CASES

pytestmark = pytest.mark.programs

MEBIBYTES = [512 * 2**power for power in range(12)]
CPUS = [1, 2, 4, 8, 32, 128]
GRID = list(product(MEBIBYTES, CPUS, Workload, Disk))
EVERY = 53  # has no common divisor with the grid's sides, so each value of each side occurs


def test_the_sample_holds_each_value_of_the_grid() -> None:
    for side, values in zip(zip(*GRID[::EVERY], strict=True), (MEBIBYTES, CPUS), strict=False):
        assert set(side) == set(values)


def _of_the_peers() -> list[tuple[int, int, Workload, Disk]]:
    """The hosts of the peers' cases, each once."""
    if not CASES.exists():
        return []
    asked = [case["input"] for case in json.loads(CASES.read_text())["cases"]]
    hosts = {
        (
            one["ram_mb"],
            one["cpus"],
            Workload(one.get("workload") or "web"),
            Disk(one.get("disk") or "ssd"),
        )
        for one in asked
        if one.get("workload") != "desktop"
    }
    return sorted(hosts)


@pytest.mark.parametrize(
    ("mebibytes", "cpus", "workload", "disk"), [*GRID[::EVERY], *_of_the_peers()]
)
def test_postgresql_accepts_the_tuning(
    binaries: Binaries, mebibytes: int, cpus: int, workload: Workload, disk: Disk
) -> None:
    tuning = tune(
        HostResources(mebibytes * MEBIBYTE, cpus),
        TuningInputs(workload=workload, disk=disk, version=binaries.major_version),
    )
    with scratch_folder() as folder:
        (folder / "postgresql.conf").write_text(render(tuning, {}))
        answer = binaries.run("postgres", "-D", str(folder), "-C", "max_connections")
    assert (answer.returncode, answer.stdout) == (0, "100\n"), answer.stderr
    assert tuning.worst_case_share_of_ram <= 0.9
