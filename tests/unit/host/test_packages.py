"""Packages are installed only where they are missing, and apt's troubles are said in a sentence."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploys.host import packages
from deploys.host.command import Failure

from .conftest import Host

HOLD = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""
APT_INSTALLS = 'case "$*" in *install*) for p; do echo "$p 1.0 ii" >>"$INSTALLED"; done ;; esac'


@pytest.fixture
def apt(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host where dpkg knows `redis` and apt can install anything."""
    known = host.file("installed", "redis 7.0 ii\nold-one 1.0 rc\nhalf 1.0 iF\n")
    monkeypatch.setenv("INSTALLED", str(known))
    host.program("dpkg-query", 'cat "$INSTALLED"')
    host.program("apt-get", APT_INSTALLS)
    return host


def wanted(*names: str, masked: tuple[str, ...] = ()) -> dict[str, object]:
    return {"packages": list(names), "masked": list(masked), "lock_timeout_seconds": 0}


@pytest.mark.usefixtures("apt")
def test_only_completely_installed_packages_count() -> None:
    assert packages.installed() == {"redis": "7.0"}


def test_where_nothing_is_missing_apt_is_not_called(apt: Host) -> None:
    packages.install(wanted("redis", masked=("redis-server.service",)))
    assert not apt.calls("apt-get")
    assert not apt.calls("systemctl")


def test_what_is_missing_is_installed_after_its_units_are_masked(apt: Host) -> None:
    packages.install(wanted("redis", "nginx", "half", masked=("nginx.service",)))
    called = [line.split()[0] for line in apt.calls() if line.startswith(("apt", "systemctl"))]
    assert called == ["systemctl", "apt-get", "apt-get"]
    assert apt.calls(" install ")[0].endswith("-- half nginx")


def test_an_interrupted_dpkg_is_repaired_before_apt_is_called(apt: Host) -> None:
    (apt.folder / "updates").mkdir()
    (apt.folder / "updates" / "0001").touch()
    packages.install(wanted("nginx"))
    called = [line for line in apt.calls() if line.startswith(("apt", "dpkg --configure"))]
    assert called[0].startswith("dpkg --configure -a")
    assert len(called) == 3


def test_a_package_that_apt_left_out_is_named(apt: Host) -> None:
    apt.program("apt-get", "echo nothing to do")
    with pytest.raises(Failure, match=r"did not install nginx"):
        packages.install(wanted("nginx"))


def test_a_package_name_is_never_shell(apt: Host) -> None:
    with pytest.raises(Failure, match=r"did not install"):
        packages.install(wanted("nginx'; touch $HOME/broken; '", "$(touch broken)"))
    assert "-- $(touch broken) nginx'; touch $HOME/broken; '" in apt.calls(" install ")[0]


@pytest.fixture
def holder(apt: Host, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that holds one of apt's locks."""
    command = [sys.executable, "-c", HOLD, str(apt.folder / request.param)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("holder", ["lock-frontend", "lists"], indirect=True)
def test_who_holds_apts_lock_is_said_before_apt_is_called(
    apt: Host, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(Failure, match=rf"lock is held by python.*\(process {holder.pid}\)"):
        packages.install(wanted("nginx"))
    assert not apt.calls("apt-get")
    assert not apt.calls("systemctl")


@pytest.mark.parametrize(
    "said",
    [
        "E: Could not get lock /var/lib/dpkg/lock. It is held by process 4194305 (apt)",
        "dpkg: error: dpkg frontend lock was locked by another process with pid 4194305",
    ],
)
def test_a_lock_taken_meanwhile_is_said_as_well(apt: Host, said: str) -> None:
    apt.program("apt-get", f"echo '{said}' >&2; exit 100")
    with pytest.raises(Failure, match=r"lock is held by another program .process 4194305"):
        packages.install(wanted("nginx"))


def test_a_full_disk_is_said_in_one_sentence(apt: Host) -> None:
    apt.program("apt-get", "echo 'E: write (28: No space left on device)'; exit 100")
    with pytest.raises(Failure, match=r"^the disk is full: free some space and run again$"):
        packages.install(wanted("nginx"))


def test_the_reason_of_an_earlier_failure_is_not_taken_for_the_present_one(apt: Host) -> None:
    packages.LOG.write_text("E: No space left on device\nIt is held by process 1 (systemd)\n")
    apt.program("apt-get", "echo 'E: Unable to locate package nginx'; exit 100")
    with pytest.raises(Failure, match=r"^apt-get failed") as caught:
        packages.install(wanted("nginx"))
    assert caught.value.detail == "E: Unable to locate package nginx"


def test_what_apt_says_is_kept_for_the_operator(apt: Host) -> None:
    apt.program("apt-get", "echo Reading package lists; exit 1")
    with pytest.raises(Failure, match=str(packages.LOG)):
        packages.install(wanted("nginx"))
    assert "Reading package lists" in Path(packages.LOG).read_text()
