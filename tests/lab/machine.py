"""One host as a systemd-nspawn machine: start it, look into it, stop it.

What it boots from is in layers.py; the order of things for a whole lab is in lab.py.
"""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.lab import cgroup, namespace, overlay, shell, ssh_access
from tests.lab.errors import LabError
from tests.lab.folders import HostFolders
from tests.lab.shell import last_lines
from tests.lab.waiting import wait_until

BOOT_SECONDS = 90.0
POWER_OFF_SECONDS = 30.0
# systemd's request to power off, see systemd(1) on SIGRTMIN+4.
SIGNAL_POWER_OFF = signal.SIGRTMIN + 4
LINES_SHOWN = 25
BOOTED_STATES = frozenset({"running", "degraded", "maintenance"})
# Soft and hard limit of PID 1 on a Debian host; else those of this machine's PID 1 would count.
OPEN_FILES = "1024:524288"


@dataclass(frozen=True)
class Machine:
    """The machine of one host of a lab; it holds no state, the control group does."""

    lab: str
    host: str
    folders: HostFolders

    @property
    def group(self) -> Path:
        """The control group in which all processes of the machine are."""
        return cgroup.host_group(self.lab, self.host)

    def is_running(self) -> bool:
        """Tell whether any process of the machine lives, also one that boots or stops."""
        return cgroup.is_populated(self.group)

    def leader(self) -> int | None:
        """Return the process id of the machine's PID 1, or None when it has none yet."""
        return next((pid for pid in cgroup.processes(self.group) if _is_init(pid)), None)

    def start(self) -> None:
        """Start the machine on its mounted file system; does not wait for it to boot."""
        self._remove_link()
        command = [
            "env",
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
            *namespace.enter_command(self.lab),
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.folders.root}",
            f"--machine={self._machine_name}",
            f"--hostname={self.host}",
            f"--network-bridge={namespace.BRIDGE}",
            f"--rlimit=NOFILE={OPEN_FILES}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--boot",
        ]
        cgroup.start(self.group, command, self.folders.console)

    def wait_until_ready(self, address: IPv4Address) -> None:
        """Wait until the machine has booted and its SSH answers.

        Raises LabError with the end of its console and journal when it does not get there.
        """
        if not wait_until(lambda: self._has_booted() or not self.is_running(), BOOT_SECONDS):
            raise self.failure("has not booted")
        if not self.is_running():
            raise self.failure("stopped while it booted")
        if not wait_until(lambda: ssh_access.answers(self.lab, address), BOOT_SECONDS):
            raise self.failure("has booted, but its SSH does not answer")

    def state(self) -> str:
        """Return the machine's state as systemd in it names it, or `off`, or `starting`."""
        if not self.is_running():
            return "off"
        return self._inside("systemctl", "is-system-running").stdout.strip() or "starting"

    def power_off(self) -> None:
        """Stop the machine cleanly, or hard when it takes too long; unmount its file system.

        One that has not booted yet would not hear the request, so it is stopped hard.
        """
        leader = self.leader()
        if leader is not None and self.state() in BOOTED_STATES:
            with contextlib.suppress(ProcessLookupError):  # it stopped by itself
                os.kill(leader, SIGNAL_POWER_OFF)
            wait_until(lambda: not self.is_running(), POWER_OFF_SECONDS)
        self.cut_power()

    def cut_power(self) -> None:
        """Stop the machine as a power failure would; unmount its file system."""
        cgroup.destroy(self.group)
        overlay.unmount_below(self.folders.root)

    def failure(self, what: str) -> LabError:
        """Return an error that says what is wrong with the machine and shows what it logged."""
        console = self.folders.console.read_text(errors="replace")
        failed = self._inside("systemctl", "--failed", "--plain", "--no-legend").stdout
        journal = self._inside(
            "journalctl", "--no-pager", "--boot", "--priority=warning", f"--lines={LINES_SHOWN}"
        ).stdout
        return LabError(
            f"The lab host {self.host} {what}.\n"
            f"Failed units:\n{last_lines(failed, LINES_SHOWN)}\n"
            f"Its console ({self.folders.console}):\n{last_lines(console, LINES_SHOWN)}\n"
            f"Its journal:\n{last_lines(journal, LINES_SHOWN)}"
        )

    @property
    def _machine_name(self) -> str:
        return f"{self.lab}-{self.host}"

    def _has_booted(self) -> bool:
        state = self._inside(
            "timeout", f"{BOOT_SECONDS}", "systemctl", "is-system-running", "--wait"
        ).stdout.strip()
        return state in BOOTED_STATES

    def _inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        leader = self.leader()
        if leader is None:
            return subprocess.CompletedProcess(command, 1, "", "")
        return shell.run(["nsenter", f"--target={leader}", "--all", *command], check=False)

    def _remove_link(self) -> None:
        """Remove the link of a killed machine, which the kernel else removes some time later."""
        link = ["ip", "-netns", namespace.name_of(self.lab), "link", "delete"]
        shell.run([*link, f"vb-{self._machine_name}"], check=False)


def _is_init(pid: int) -> bool:
    """Tell whether a process is PID 1 of a process namespace right below ours."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        own = Path("/proc/self/status").read_text()
    except OSError:
        return False
    ids = _namespaced_ids(status)
    return len(ids) == len(_namespaced_ids(own)) + 1 and ids[-1] == "1"


def _namespaced_ids(status: str) -> list[str]:
    return next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
