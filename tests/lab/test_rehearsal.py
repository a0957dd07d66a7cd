"""A rehearsal of an inventory: booted, deployed and broken, with no way to the real host."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.conftest import lab_name, skip_without_lab
from tests.lab.lab import REPOSITORY

pytestmark = pytest.mark.lab

# Of a range for private networks, under a name that nobody resolves.
INVENTORY = """\
apps = [("everything", {"ssh_hostname": "everything.invalid", "address": "10.20.30.41",
                        "ssh_user": "operator", "_sudo": True, "lab_release": "trixie"})]
balancers = caches = sentinels = databases = monitors = ["everything"]
"""


@pytest.mark.thorough
def test_a_host_that_is_all_of_the_cluster_is_deployed_broken_and_back(tmp_path: Path) -> None:
    skip_without_lab()
    (tmp_path / "inventory").write_text(INVENTORY)
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.rehearsal", str(tmp_path / "inventory")),
            *("--name", lab_name("stage"), "--folder", str(tmp_path / "stage")),
            *("--json", str(report)),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["second"]["changes"] == 0
    [breakage] = found["breakages"]
    assert breakage["back_seconds"] is not None
    assert all(door["requests"] > door["failed"] > 0 for door in breakage["doors"].values())
    assert not (tmp_path / "secrets.yaml").exists()
