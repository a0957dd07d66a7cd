"""Overlay mounts: a host's file system is its image, its saved layers and what it wrote since."""

from collections.abc import Sequence
from pathlib import Path

from tests.lab.folders import HostFolders
from tests.lab.shell import run

MOUNT_TABLE = Path("/proc/self/mounts")


def mount(host: HostFolders, lowers: Sequence[Path]) -> None:
    """Mount a host's file system. `lowers` are the read-only folders, the topmost first."""
    for folder in (host.root, host.upper, host.work):
        folder.mkdir(parents=True, exist_ok=True)
    layers = ":".join(str(lower) for lower in lowers)
    options = f"lowerdir={layers},upperdir={host.upper},workdir={host.work}"
    run(["mount", "-t", "overlay", "stellwerk-lab", "-o", options, host.root])


def unmount_below(folder: Path) -> None:
    """Unmount whatever is mounted at or below a folder, the innermost first."""
    for mount_point in mounts_below(folder):
        if run(["umount", mount_point], check=False).returncode != 0:
            # Something still looks into it, such as a shell of the user: detach it all the same.
            run(["umount", "--lazy", mount_point], check=False)


def mounts_below(folder: Path) -> list[Path]:
    """Return the mount points at or below a folder, the innermost first."""
    points = [Path(line.split()[1]) for line in MOUNT_TABLE.read_text().splitlines()]
    return sorted(
        (point for point in points if point.is_relative_to(folder)),
        key=lambda point: len(point.parts),
        reverse=True,
    )


def is_lower(folder: Path) -> bool:
    """Tell whether a mounted overlay uses a folder."""
    options = [line.split()[3] for line in MOUNT_TABLE.read_text().splitlines()]
    return any(
        str(folder) in option.removeprefix("lowerdir=").split(":")
        for line in options
        for option in line.split(",")
    )
