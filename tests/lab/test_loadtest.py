"""Load tests against the lab's balancers: each scenario is judged, a planted fault is found."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform
from tests.lab.rows import rows
from tests.lab.test_deploy import answer, balancer_address

pytestmark = pytest.mark.lab

STELLWERK = Path(sys.executable).with_name("stellwerk")
GOOD, FAILED, BAD_INPUT, TOO_WEAK = 0, 1, 2, 3
# Shortened to seconds, at the scenarios' own rates.
SCALES = {
    "normal_load": 0.02,
    "peak_load": 0.03,
    "stress_test": 0.01,
    "endurance_test": 0.0015,
}
GENTLE = {
    "duration_seconds": 5,
    "virtual_users": 200,
    "requests_per_second": 10,
}


class Run:
    """A finished load test: its exit code, what it printed, and its report."""

    def __init__(self, platform: Platform, folder: Path, scenario: str, *options: str) -> None:
        report = folder / "report.json"
        done = subprocess.run(
            platform.lab.net_command(
                [
                    str(STELLWERK),
                    "loadtest",
                    "run",
                    scenario,
                    "--url",
                    f"http://{balancer_address(platform)}",
                    "--inventory",
                    str(platform.inventory),
                    "--json",
                    str(report),
                    *options,
                ]
            ),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.report: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}

    @property
    def failed(self) -> set[tuple[str, str]]:
        """Subject and statistic of the checks that failed."""
        checks = self.report["checks"]
        return {(c["subject"], c["statistic"]) for c in checks if c["outcome"] == "failed"}


def gentle(folder: Path, fault: str = "", **changes: object) -> Path:
    """The shipped mixes and baselines with one scenario, `gentle`, that any machine can run.

    + fault: what every request asks of its service besides, such as `delay_ms=2500`
    """
    namespace: dict[str, Any] = {}
    for name in ("loadtest", "baselines"):
        exec((REPOSITORY / "group_data" / f"{name}.py").read_text(), namespace)
    document = {
        "loadtest": {**namespace["loadtest"], "scenarios": {"gentle": {**GENTLE, **changes}}},
        "baselines": namespace["baselines"],
    }
    if fault:
        for request in document["loadtest"]["mixes"]["api"].values():
            request["path"] += f"&{fault}"
    file = folder / "scenarios.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.parametrize("scenario", rows(SCALES, "normal_load"))
def test_every_scenario_ends_with_a_verdict(six: Platform, scenario: str, tmp_path: Path) -> None:
    run = Run(six, tmp_path, scenario, "--scale", str(SCALES[scenario]))
    assert run.code in (GOOD, FAILED, TOO_WEAK), run.output
    assert run.report["exit_code"] == run.code
    assert {one["requests"] > 0 for one in run.report["endpoints"]} == {True}, run.output


def test_a_planted_slow_endpoint_fails_the_run(six: Platform, tmp_path: Path) -> None:
    run = Run(six, tmp_path, "gentle", "--scenarios", str(gentle(tmp_path, "delay_ms=2500")))
    assert ("GET /api/portfolios", "p95") in run.failed, run.output
    assert run.code in (FAILED, TOO_WEAK), run.output  # too weak where other work delays it


def test_planted_errors_fail_the_run(six: Platform, tmp_path: Path) -> None:
    # Every request, so that also the few of a short run are hit.
    run = Run(six, tmp_path, "gentle", "--scenarios", str(gentle(tmp_path, "error=1")))
    assert ("GET /api/portfolios", "errors") in run.failed, run.output
    assert run.code in (FAILED, TOO_WEAK), run.output


@pytest.fixture
def busy(six: Platform) -> Iterator[str]:
    """A host of which every processor is busy."""
    host = "app-1"
    six.shell(
        host,
        "systemd-run --quiet --collect --unit=busy --property=CPUWeight=1 --property=Nice=19"
        " sh -c 'for _ in $(seq $(nproc)); do while :; do :; done & done; wait'",
    )
    yield host
    six.shell(host, "systemctl stop busy.service")


def test_a_busy_host_breaks_the_limit_and_is_named(
    six: Platform, busy: str, tmp_path: Path
) -> None:
    run = Run(six, tmp_path, "gentle", "--scenarios", str(gentle(tmp_path, duration_seconds=12)))
    # The lab's hosts share this machine's processors, so the others say the same.
    assert (busy, "CPU") in run.failed, run.output
    assert f"{busy} CPU: " in run.output
    assert run.code in (FAILED, TOO_WEAK), run.output


def test_every_host_is_watched(six: Platform, tmp_path: Path) -> None:
    run = Run(
        six,
        tmp_path,
        "gentle",
        *("--scenarios", str(gentle(tmp_path, duration_seconds=12)), "--watch-hosts", "all"),
    )
    limits = {(c["subject"], c["statistic"]) for c in run.report["checks"] if c["measured"]}
    for node in six.nodes:
        assert {(node.name, "CPU"), (node.name, "memory")} <= limits, run.output


def test_a_generator_that_is_too_weak_says_so(six: Platform, tmp_path: Path) -> None:
    file = gentle(tmp_path, duration_seconds=2, requests_per_second=200_000)
    run = Run(six, tmp_path, "gentle", "--scenarios", str(file), "--processes", "1")
    assert run.code == TOO_WEAK, run.output


def test_the_platform_still_answers(six: Platform) -> None:
    assert '"portfolios"' in answer(six, f"http://{balancer_address(six)}/api/portfolios?limit=1")
