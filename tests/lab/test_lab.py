"""The lab itself, on a small lab of its own that is booted, broken and taken down."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import cgroup, layers, namespace, overlay, requirements
from tests.lab.conftest import lab_name
from tests.lab.errors import LabError
from tests.lab.lab import REPOSITORY, Lab
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

NAME = lab_name("lab")
HOSTS = ("first", "second")
INVENTORY = """\
hosts = [
    ("first", {"ssh_hostname": "198.18.0.11"}),
    ("second", {"ssh_hostname": "10.99.0.12"}),
]
"""
# Of the range kept for documentation (RFC 5737): nobody has it.
OUTSIDE = "192.0.2.1"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lab") / "inventory"
    file.write_text(INVENTORY)
    return file


@pytest.fixture(scope="module")
def cleaned_lab(inventory: Path) -> Iterator[Lab]:
    try:
        requirements.check()
    except LabError as reason:
        pytest.skip(str(reason))
    lab = Lab(NAME, inventory)
    lab.down()
    yield lab
    lab.down()
    shutil.rmtree(lab.folders.home)


@pytest.fixture
def lab(cleaned_lab: Lab) -> Lab:
    cleaned_lab.up()
    return cleaned_lab


def start_up(lab: Lab) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.lab", "up", "--name", lab.name]
    return subprocess.Popen(
        [*command, "--inventory", str(lab.inventory)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def boots(lab: Lab) -> list[str]:
    """Return what tells one boot of each host from another: when its PID 1 was started."""
    return [lab.run(host, "cut -d' ' -f22 /proc/1/stat").stdout for host in HOSTS]


def test_every_host_boots_to_a_state_without_failed_units(lab: Lab) -> None:
    assert [host.state for host in lab.status()] == ["running"] * len(HOSTS)


def test_a_log_in_leaves_no_unit_failed(lab: Lab) -> None:
    for _ in range(5):
        lab.run("first", "true")
    assert lab.run("first", "systemctl --failed --no-legend").stdout == ""


def test_up_leaves_running_hosts_alone(lab: Lab) -> None:
    before = boots(lab)
    lab.up()
    assert boots(lab) == before


def test_two_simultaneous_ups_both_succeed(lab: Lab) -> None:
    lab.down()
    runs = [start_up(lab), start_up(lab)]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs


def test_a_command_passes_its_words_and_exit_code(lab: Lab) -> None:
    result = lab.run("first", ["sh", "-c", 'echo "$1"; exit 3', "sh", "a b; c"], check=False)
    assert (result.stdout, result.returncode) == ("a b; c\n", 3)


def test_a_failed_command_is_an_error_with_what_it_printed(lab: Lab) -> None:
    with pytest.raises(LabError, match="No such file"):
        lab.run("first", "ls /nowhere")


def test_hosts_reach_each_other_also_outside_the_labs_own_range(lab: Lab) -> None:
    for host, other in zip(HOSTS, reversed(HOSTS), strict=True):
        lab.run(host, ["ping", "-c", "1", "-W", "5", str(lab.addresses[other])])


def test_one_user_may_use_sudo_and_the_other_not(lab: Lab) -> None:
    def sudo(user: str) -> subprocess.CompletedProcess[str]:
        command = ["ssh", "-F", str(lab.ssh_config), "-l", user, "first", "sudo -n id -u"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert sudo("deploy").stdout == "0\n"
    assert sudo("nosudo").returncode != 0


def test_a_unit_can_be_sandboxed(lab: Lab) -> None:
    properties = (
        "ProtectSystem=strict PrivateTmp=yes PrivateDevices=yes ProtectProc=invisible "
        "RestrictNamespaces=yes SystemCallFilter=@system-service DynamicUser=yes PrivateUsers=yes"
    )
    options = [word for name in properties.split() for word in ("-p", name)]
    unit = ["systemd-run", "--quiet", "--wait", "--pipe", *options]
    result = lab.run("first", [*unit, "touch", "/etc/written"], check=False)
    assert "Read-only file system" in result.stderr


def test_reset_to_bare_removes_what_a_host_wrote_and_keeps_its_host_key(lab: Lab) -> None:
    known = lab.folders.known_hosts.read_text()
    lab.run("first", "touch /root/written && rm /etc/motd")
    lab.reset(layers.BARE, ["first"])
    lab.run("first", "test ! -e /root/written && test -e /etc/motd")
    assert lab.folders.known_hosts.read_text() == known


def test_a_saved_layer_is_what_reset_returns_to(lab: Lab) -> None:
    lab.run("first", "echo kept > /root/kept && rm /etc/motd")
    lab.save("saved")
    lab.run("first", "touch /root/written; echo changed > /root/kept")
    lab.reset()
    assert lab.run("first", "cat /root/kept; ls /root").stdout == "kept\nkept\n"
    lab.run("first", "test ! -e /etc/motd")
    assert [host.layer for host in lab.status()] == ["saved", "saved"]
    lab.reset(layers.BARE)
    lab.run("first", "test ! -e /root/kept && test -e /etc/motd")
    lab.reset("saved")
    lab.run("first", "test -e /root/kept")


def test_an_unknown_layer_touches_no_host(lab: Lab) -> None:
    before = boots(lab)
    with pytest.raises(LabError, match="no saved layer 'nowhere'"):
        lab.reset("nowhere")
    assert boots(lab) == before


def test_a_host_without_power_comes_back_with_what_it_wrote(lab: Lab) -> None:
    lab.run("first", "echo here > /root/written")
    lab.power_off("first")
    assert [host.state for host in lab.status()] == ["off", "running"]
    lab.power_on("first")
    assert lab.run("first", "cat /root/written").stdout == "here\n"


def test_down_stops_hosts_cleanly_and_keeps_what_they_wrote(lab: Lab) -> None:
    lab.run("first", "echo here > /root/written")
    lab.down()
    lab.up()
    assert lab.run("first", "cat /root/written").stdout == "here\n"
    journal = lab.run("first", "journalctl --no-pager --boot=-1 --output=cat").stdout
    assert "Reached target poweroff.target" in journal


def test_the_namespace_has_no_link_to_the_outside(lab: Lab) -> None:
    listing = subprocess.run(
        lab.net_command(["ip", "-brief", "link"]), capture_output=True, text=True, check=True
    )
    links = {line.split()[0] for line in listing.stdout.splitlines()}
    assert {name for name in links if not name.startswith("vb-")} == {"lo", namespace.BRIDGE}


def test_an_address_outside_is_unreachable_at_once_instead_of_silent(lab: Lab) -> None:
    result = lab.run("first", ["ping", "-c", "1", "-W", "30", OUTSIDE], check=False)
    assert "Unreachable" in result.stdout


def test_the_package_proxy_fetches_from_mirrors_only(lab: Lab) -> None:
    script = (
        f"exec 3<>/dev/tcp/{namespace.GATEWAY.ip}/3142; "
        rf"printf 'GET http://{OUTSIDE}/x.deb HTTP/1.1\r\n\r\n' >&3; head -1 <&3"
    )
    assert " 403 " in lab.run("first", ["bash", "-c", script]).stdout


def test_hosts_install_packages_side_by_side(lab: Lab) -> None:
    install = "apt-get -qq update && apt-get -qq install --no-install-recommends socat"
    runs = [
        subprocess.Popen(lab.ssh_command(host, install), stdout=subprocess.DEVNULL)
        for host in HOSTS
    ]
    assert [run.wait() for run in runs] == [0, 0]


def has_namespace(lab: Lab) -> bool:
    return namespace.path_of(lab.name).exists()


def has_mount(lab: Lab) -> bool:
    return bool(overlay.mounts_below(lab.folders.home))


def has_machine(lab: Lab) -> bool:
    return any(cgroup.is_populated(cgroup.host_group(lab.name, host)) for host in HOSTS)


@pytest.fixture(params=[has_namespace, has_mount, has_machine])
def killed_up(cleaned_lab: Lab, request: pytest.FixtureRequest) -> Lab:
    reached: Callable[[Lab], bool] = request.param
    cleaned_lab.down()
    run = start_up(cleaned_lab)
    assert wait_until(lambda: reached(cleaned_lab), 120.0)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    return cleaned_lab


def test_up_goes_on_after_a_killed_up(killed_up: Lab) -> None:
    killed_up.up()
    assert [host.state for host in killed_up.status()] == ["running"] * len(HOSTS)


def test_down_after_a_killed_up_leaves_nothing(killed_up: Lab) -> None:
    killed_up.down()
    assert not has_namespace(killed_up)
    assert not has_mount(killed_up)
    assert not cgroup.lab_group(killed_up.name).exists()


def test_with_the_lab_down_ssh_fails_and_says_that_the_network_is_gone(lab: Lab) -> None:
    lab.down()
    result = lab.run("first", "true", check=False)
    assert result.returncode == 255
    assert str(namespace.path_of(lab.name)) in result.stderr


def test_down_of_a_lab_that_is_down_succeeds(lab: Lab) -> None:
    lab.down()
    lab.down()
