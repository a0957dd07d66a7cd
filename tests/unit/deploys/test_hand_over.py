"""A restart of HAProxy: the program that hands over, run with a systemd that only notes orders."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploys.components import haproxy
from deploys.engine.resources import Activation
from stellwerk.settings.cluster import Cluster
from tests.lab.waiting import wait_until

from .conftest import host_of

SECONDS = 20
RESTART, STOP = (f"7 haproxy.service {kind} running" for kind in ("restart", "stop"))
# It starts a bridge with any configuration but one that is refused.
SYSTEMCTL = """#!/bin/sh
cd {folder}
if [ "$1" = list-jobs ]; then cat job; exit; fi
echo "$@" >> orders
[ "$1" != start ] || ! grep -q "BRIDGE_CONFIG=$(cat refused)" haproxy-bridge.env
"""


@dataclass
class Host:
    """A host with a HAProxy that ends on the signal for a soft stop, if it is not `stubborn`."""

    folder: Path
    process: subprocess.Popen[bytes]
    program: Path

    @property
    def bridge(self) -> str:
        return f"haproxy-bridge@{self.process.pid}.service"

    @property
    def orders(self) -> list[str]:
        """What systemd was told to do."""
        path = self.folder / "orders"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def environment(self) -> list[str] | None:
        """What bridge and new HAProxy are started with."""
        path = self.folder / "haproxy-bridge.env"
        return path.read_text().splitlines() if path.exists() else None

    def has(self, job: str) -> None:
        """systemd has this job with HAProxy."""
        (self.folder / "job").write_text(f"{job}\n")

    def refuses(self, path: str) -> None:
        """No HAProxy starts with a configuration whose path begins so."""
        (self.folder / "refused").write_text(path)

    def begin(self, main_pid: int | None = None) -> subprocess.Popen[str]:
        """Have the unit's ExecStop run."""
        variables = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "CONFIG": "/etc/haproxy/haproxy.cfg",
            "EXTRAOPTS": "-S /run/haproxy-master.sock",
            "MAINPID": str(self.process.pid if main_pid is None else main_pid or ""),
        }
        return subprocess.Popen(
            [self.program],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ends(self, running: subprocess.Popen[str]) -> str:
        """What the program said; it ended well."""
        said, _ = running.communicate(timeout=SECONDS)
        assert running.returncode == 0, said
        return said


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Makes the host, whose /run is a folder of its own."""
    processes = []

    def make(stubborn: bool = False) -> Host:
        (program,) = (
            file
            for config in haproxy.configs(host_of(cluster, "balancers").settings)
            for file in config.files
            if file.path == haproxy.HAND_OVER
        )
        path = tmp_path / "hand-over"
        path.write_text(program.content.replace("/run/haproxy-", f"{tmp_path}/haproxy-"))
        path.chmod(program.mode)
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(SYSTEMCTL.format(folder=tmp_path))
        systemctl.chmod(0o755)
        trap = "trap '' USR1; " if stubborn else ""
        process = subprocess.Popen(["sh", "-c", f"{trap}exec sleep infinity"])
        processes.append(process)
        made = Host(tmp_path, process, path)
        made.refuses("none")
        return made

    yield make
    for process in processes:
        process.kill()
        process.wait()


def test_on_a_restart_a_bridge_serves_before_haproxy_ends_softly(
    host: Callable[..., Host],
) -> None:
    one = host()
    one.has(RESTART)
    running = one.begin()
    assert one.process.wait(SECONDS) == -signal.SIGUSR1
    assert one.orders == [f"start {one.bridge}"]
    assert one.environment == [
        "BRIDGE_CONFIG=/etc/haproxy/haproxy.cfg",
        "EXTRAOPTS=-S /run/haproxy-master.sock -x /run/haproxy/admin.sock",
    ]
    assert one.ends(running) == ""


@pytest.mark.parametrize("job", [STOP, ""])
def test_a_stop_is_as_debian_has_it(host: Callable[..., Host], job: str) -> None:
    one = host()
    one.has(job)
    assert one.ends(one.begin()) == ""
    assert (one.orders, one.environment, one.process.poll()) == ([], None, None)


def test_a_haproxy_that_ended_by_itself_has_no_bridge(host: Callable[..., Host]) -> None:
    one = host()
    one.has(RESTART)
    assert one.ends(one.begin(main_pid=0)) == ""
    assert one.orders == []


def test_with_a_refused_configuration_the_bridge_serves_with_the_one_before(
    host: Callable[..., Host],
) -> None:
    one = host()
    one.has(RESTART)
    one.refuses("/etc")
    running = one.begin()
    assert one.process.wait(SECONDS) == -signal.SIGUSR1
    assert one.orders == [f"start {one.bridge}"] * 2
    assert one.environment is not None
    assert one.environment[0] == f"BRIDGE_CONFIG={one.folder}/haproxy-served.cfg"
    assert f"{one.bridge} serves on with the one before it" in one.ends(running)


def test_without_any_configuration_that_works_haproxy_is_left_to_systemd(
    host: Callable[..., Host],
) -> None:
    one = host()
    one.has(RESTART)
    one.refuses("/")
    assert "nobody serves until haproxy.service is started" in one.ends(one.begin())
    assert (one.environment, one.process.poll()) == (None, None)


def test_a_stop_in_the_middle_of_a_restart_waits_for_nothing_and_ends_the_bridge(
    host: Callable[..., Host],
) -> None:
    one = host(stubborn=True)
    one.has(RESTART)
    running = one.begin()
    assert wait_until(lambda: bool(one.orders), SECONDS)
    one.has(STOP)
    one.ends(running)
    assert one.orders == [f"start {one.bridge}", f"stop --no-block {one.bridge}"]
    assert one.environment is None


def test_a_change_of_how_it_is_restarted_leaves_haproxy_alone(cluster: Cluster) -> None:
    hand_over, config = haproxy.configs(host_of(cluster, "balancers").settings)
    assert hand_over.activation == Activation(daemon_reload=True)
    assert haproxy.DROP_IN in {file.path for file in hand_over.files}
    assert config.activation.how == "reload"
