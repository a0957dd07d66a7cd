"""Kernel parameters are set where they differ; a container sets those it may."""

from pathlib import Path

import pytest

from deploys.host import kernel
from deploys.host.command import Failure

from .conftest import Host

FILE = "# comment = 1\n\nvm.overcommit_memory = 1\nnet.ipv4.ip_local_port_range = 1024 65000\n"


@pytest.fixture
def proc(host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's parameters."""
    host.file("proc/vm/overcommit_memory", "0\n")
    host.file("proc/net/ipv4/ip_local_port_range", "1024\t65000\n")
    monkeypatch.setattr(kernel, "PROC", host.root / "proc")
    return host.root / "proc"


def on(host: Host, container: bool) -> None:
    host.program("systemd-detect-virt", "exit 0" if container else "exit 1")


def test_only_what_differs_is_written(host: Host, proc: Path) -> None:
    on(host, container=False)
    same = proc / "net" / "ipv4" / "ip_local_port_range"
    assert kernel.apply(host.file("sysctl.conf", FILE)) == 0
    assert (proc / "vm" / "overcommit_memory").read_text() == "1"
    assert same.read_text() == "1024\t65000\n"


def test_an_unknown_parameter_is_refused_with_its_line(host: Host, proc: Path) -> None:
    on(host, container=False)
    assert proc.is_dir()
    with pytest.raises(Failure, match=r"does not take vm\.overcomit = 1: .*No such file"):
        kernel.apply(host.file("sysctl.conf", "vm.overcomit = 1\n"))


def test_a_container_leaves_alone_what_it_may_not_set(host: Host, proc: Path) -> None:
    on(host, container=True)
    assert kernel.apply(host.file("sysctl.conf", f"kernel.of_the_host = 1\n{FILE}")) == 0
    assert (proc / "vm" / "overcommit_memory").read_text() == "1"
