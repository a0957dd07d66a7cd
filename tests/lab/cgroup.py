"""The control groups of a lab: every process it started is in one, so none can escape `down`.

They are made directly below the unified hierarchy's root, which works alike whether or not the
control machine's own PID 1 is systemd.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.waiting import wait_until

MOUNT_TABLE = Path("/proc/self/mounts")
DIE_SECONDS = 20.0


def lab_group(lab: str) -> Path:
    """Return the group of a whole lab."""
    return _hierarchy() / "stellwerk-lab" / lab


def host_group(lab: str, host: str) -> Path:
    """Return the group of one host's machine."""
    return lab_group(lab) / "hosts" / host


def image_group(release: str) -> Path:
    """Return the group in which a release's image is built."""
    # The dot keeps it apart from the labs, whose names have none.
    return _hierarchy() / "stellwerk-lab" / f".image-{release}"


def enter_command(group: Path) -> list[str]:
    """Make a group; return the words to put before a command that is to run in it."""
    _make(group)
    return ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(group)]


def start(group: Path, command: Sequence[str], log: Path) -> None:
    """Start a command inside a group, in a session of its own; its output goes to `log`."""
    with log.open("w") as output:
        result = subprocess.run(
            # `setsid --fork` hands the process to PID 1: it outlives us and we need not reap it.
            [*enter_command(group), "setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode != 0:
        raise LabError(f"`{command[0]}` could not be started; see {log}.")


def is_populated(group: Path) -> bool:
    """Tell whether a living process is in the group or below."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except OSError:
        return False  # there is no such group, or it went away while we looked


def processes(group: Path) -> list[int]:
    """Return the process ids in the group and below; none when there is no such group."""
    found = []
    for folder, _, _ in os.walk(
        group
    ):  # unlike a glob, it takes a folder that goes for an empty one
        try:
            found += [int(pid) for pid in Path(folder, "cgroup.procs").read_text().split()]
        except OSError:
            continue  # the group went away while we looked
    return sorted(found)


def destroy(group: Path) -> None:
    """Kill everything in the group and remove it. Raises LabError when a process will not die."""
    if not group.exists():
        return
    (group / "cgroup.kill").write_text("1")
    if not wait_until(lambda: not is_populated(group), DIE_SECONDS):
        raise LabError(
            f"Processes {processes(group)} in {group} do not die: they hang in the kernel; "
            "restart this machine."
        )
    if not wait_until(lambda: _remove(group), DIE_SECONDS):
        raise LabError(f"The control group {group} cannot be removed: look what is in it.")


def memory_bytes(group: Path) -> int | None:
    """Return the memory of the group: its counter, else the sum of the processes' PSS.

    None when nothing runs in it.
    """
    pids = processes(group)
    if not pids:
        return None
    try:
        return int((group / "memory.current").read_text())
    except FileNotFoundError:
        return sum(_pss_bytes(pid) for pid in pids)


def _hierarchy() -> Path:
    mounts = [line.split()[1:3] for line in MOUNT_TABLE.read_text().splitlines()]
    roots = [Path(point) for point, kind in mounts if kind == "cgroup2"]
    if not roots:
        raise LabError(
            "The lab needs the unified control groups (cgroup v2), which are not mounted here: "
            "run `mount -t cgroup2 none /sys/fs/cgroup/unified` after making that folder."
        )
    return roots[0]


def _make(group: Path) -> None:
    group.mkdir(parents=True, exist_ok=True)
    hierarchy = _hierarchy()
    for parent in reversed(
        [folder for folder in group.parents if folder.is_relative_to(hierarchy)]
    ):
        for controller in (parent / "cgroup.controllers").read_text().split():
            try:
                (parent / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                continue  # kept back by the kernel or an owner above us: the host does without


def _remove(group: Path) -> bool:
    """Remove a group and those below, the innermost first; return whether all are gone."""
    try:
        below = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
    except OSError:  # what dies there removes groups of its own meanwhile
        return False
    for folder in [*below, group]:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _pss_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return (
        next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    )
