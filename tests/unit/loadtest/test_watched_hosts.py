"""The command as a user runs it in a project folder. An `ssh` of the test's own stands for the
hosts.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from .processes import is_running

pytestmark = pytest.mark.programs

SSH = """#!/bin/sh
for host; do [ "$previous" = -- ] && break; previous=$host; done
echo "$host $$" >>"$PROJECT/started"
used=0
answer() {
    echo "$host" >>"$PROJECT/asked"
    echo "$1 cpu $2 0 0 $3 0 MemTotal: 1000 kB MemAvailable: 600 kB"
}
case $host in
busy) while read -r n; do used=$((used + 97)); answer "$n" $used $((3 * n)); done ;;
calm) while read -r n; do used=$((used + 10)); answer "$n" $used $((90 * n)); done ;;
dying) read -r n; answer "$n" 1 1; echo "Connection to dying closed by remote host." >&2 ;;
hanging) trap "" TERM; sleep 600 ;;
refusing) echo "ssh: connect to host refusing port 22: Connection refused" >&2; exit 255 ;;
esac
"""
GOOD, FAILED, BAD_INPUT, TOO_WEAK = 0, 1, 2, 3


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as started:
        started.daemon_threads = True
        Thread(target=started.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{started.server_port}"
        started.shutdown()


@dataclass(frozen=True)
class Project:
    """A folder with an inventory and one scenario."""

    folder: Path
    environment: Mapping[str, str]
    url: str

    def write(self, *hosts: str, seconds: int = 2) -> None:
        declared = [(host, {"address": f"198.18.0.{n}"}) for n, host in enumerate(hosts, 1)]
        (self.folder / "inventory").write_text(f"apps = {declared!r}\n")
        scenario = {"duration_seconds": seconds, "virtual_users": 9, "requests_per_second": 20}
        values = {
            "loadtest": {
                "scenarios": {"own": scenario},
                "mixes": {"api": {"one": {"service": "shop", "path": "/fine"}}},
                "sample_interval_seconds": 1,
            },
            "baselines": {"measures": {}},
        }
        (self.folder / "group_data").mkdir()
        for name, value in values.items():
            (self.folder / "group_data" / f"{name}.py").write_text(f"{name} = {value!r}\n")
        (self.folder / "scenarios.yaml").write_text(yaml.safe_dump(values))

    def command(self, *options: str) -> list[str]:
        program = "from stellwerk.cli import main; main()"
        words = ["loadtest", "run", "own", "--url", self.url, "--json", "report.json", *options]
        return [sys.executable, "-c", program, *words]

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return values

    def checks(self) -> dict[str, dict[str, Any]]:
        """The checks by what they are about."""
        return {f"{c['subject']} {c['statistic']}": c for c in self.report()["checks"]}

    def interrupt(self, file: str, wanted: Callable[[list[str]], bool]) -> int:
        """Run, press Ctrl-C once the lines that the hosts wrote are as wanted; the exit code."""
        path = self.folder / file
        # Where the tests run in a shell's background, Ctrl-C is ignored by all that they start.
        with subprocess.Popen(
            ["env", "--default-signal=INT", *self.command()],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while not (path.exists() and wanted(path.read_text().splitlines())):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            return process.wait()

    def started(self) -> list[tuple[str, int]]:
        """Host and pid of every ssh that was started."""
        lines = (self.folder / "started").read_text().splitlines()
        return [(line.split()[0], int(line.split()[1])) for line in lines]


@pytest.fixture
def project(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("PROJECT", str(tmp_path))
    return Project(tmp_path, dict(os.environ), url)


def test_the_hosts_of_the_inventory_are_watched_and_the_busy_one_is_named(project: Project) -> None:
    project.write("busy", "calm")
    done = project.run("--html", "report.html")
    assert done.returncode in (FAILED, TOO_WEAK), done.stderr
    assert "FAILED  busy CPU: 97.0 %, over the limit of 90.0 % at 0:0" in done.stdout
    assert done.stderr.startswith("Watching busy, calm.\n")
    checks = project.checks()
    assert checks["calm CPU"]["outcome"] == checks["busy memory"]["outcome"] == "passed"
    assert (checks["calm CPU"]["measured"], checks["calm memory"]["measured"]) == (10, 40)
    assert "</svg>busy</li>" in (project.folder / "report.html").read_text()
    # One connection for each host served the whole run, and has ended with it.
    assert sorted(host for host, _ in project.started()) == ["busy", "calm"]
    assert not any(is_running(pid) for _, pid in project.started())


def test_hosts_that_cannot_be_read_are_said_and_fail_no_run(project: Project) -> None:
    project.write("calm", "refusing")
    done = project.run()
    assert done.returncode in (GOOD, TOO_WEAK), done.stdout
    reason = "ssh: connect to host refusing port 22: Connection refused"
    assert f"Not measured: refusing: {reason}.\n" in done.stderr
    check = project.checks()["refusing CPU and memory"]
    assert (check["outcome"], check["measured"]) == ("not judged", None)
    assert check["reason"] == f"not measured: {reason}"
    watched = [one for one in project.report()["watched"] if one["source"] == "refusing"]
    assert {(one["problem"], len(one["readings"])) for one in watched} == {(reason, 0)}


def test_a_host_that_dies_in_the_middle_cannot_vouch_for_its_limits(project: Project) -> None:
    project.write("calm", "dying", seconds=3)
    done = project.run()
    assert done.returncode in (FAILED, TOO_WEAK), done.stdout
    reason = project.checks()["dying answers"]["reason"]
    assert reason.endswith("last: Connection to dying closed by remote host")
    assert project.checks()["calm CPU"]["outcome"] == "passed"


def test_hosts_that_are_named_have_to_answer_before_anything_is_sent(project: Project) -> None:
    project.write("calm", "refusing")
    done = project.run("--watch-hosts", "calm,refusing")
    assert done.returncode == BAD_INPUT
    assert done.stderr == (
        "Error: refusing: cannot be watched: ssh: connect to host refusing port 22:"
        " Connection refused\n"
    )
    assert not (project.folder / "report.json").exists()
    assert not any(is_running(pid) for _, pid in project.started())


def test_only_the_hosts_that_are_named_are_watched(project: Project) -> None:
    project.write("calm", "hanging")
    done = project.run("--watch-hosts", "calm")
    assert done.returncode in (GOOD, TOO_WEAK), done.stdout
    assert [host for host, _ in project.started()] == ["calm"]


@pytest.mark.parametrize("options", [["--no-watch-hosts"], ["--inventory", "none"]])
def test_a_run_without_hosts_says_that_they_were_not_measured(
    project: Project, options: list[str]
) -> None:
    project.write("busy", seconds=1)
    done = project.run("--scenarios", "scenarios.yaml", *options)
    assert done.returncode in (GOOD, TOO_WEAK), done.stdout
    assert "CPU and memory of the hosts were not measured: " in " ".join(done.stdout.split())
    assert not (project.folder / "started").exists()


def test_an_unknown_host_is_one_sentence(project: Project) -> None:
    project.write("calm")
    done = project.run("--watch-hosts", "clam")
    assert done.returncode == BAD_INPUT
    assert done.stderr == "clam: no group or host of the inventory; did you mean calm?\n"


def test_ctrl_c_leaves_no_connection(project: Project) -> None:
    project.write("busy", "calm", seconds=600)
    # The second question is asked while the run goes on.
    code = project.interrupt("asked", lambda lines: lines.count("busy") >= 3)
    assert code in (FAILED, TOO_WEAK)
    assert project.report()["interrupted"]
    assert "busy CPU" in project.checks()
    assert not any(is_running(pid) for _, pid in project.started())


def test_ctrl_c_while_a_host_is_waited_for_leaves_no_connection(project: Project) -> None:
    project.write("hanging")
    assert project.interrupt("started", bool) == 1
    assert not any(is_running(pid) for _, pid in project.started())
