"""What kind of disk a folder lies on, as far as the kernel says."""

import os
from pathlib import Path
from typing import Final

from stellwerk.database.figures import Disk

_BLOCK_DEVICES: Final = Path("/sys/dev/block")
_VIRTUAL: Final = ("vd", "xvd")  # claim to turn whatever the machine below has


def disk_of(folder: Path, devices: Path = _BLOCK_DEVICES) -> Disk | None:
    """The kind of disk; None where the kernel cannot know it: in virtual machines, on networks.

    Raises OSError where `folder` cannot be looked at.
    """
    number = folder.stat().st_dev
    return kind_of(devices / f"{os.major(number)}:{os.minor(number)}")


def kind_of(device: Path) -> Disk | None:
    """The kind of a device by its folder in /sys; of several below it, the slowest."""
    if not device.exists():
        return None
    path = device.resolve()
    below = sorted((path / "slaves").glob("*"))
    if below:  # LVM, encryption, RAID
        kinds = {kind_of(each) for each in below}
        for kind in (None, Disk.HDD, Disk.SSD):
            if kind in kinds:
                return kind
        return Disk.NVME
    whole = path.parent if (path / "partition").exists() else path
    return _kind_of_whole(whole)


def _kind_of_whole(device: Path) -> Disk | None:
    if device.name.startswith("nvme"):
        return Disk.NVME
    try:
        turns = (device / "queue/rotational").read_text().strip() == "1"
    except OSError:
        return None
    if turns and device.name.startswith(_VIRTUAL):
        return None
    return Disk.HDD if turns else Disk.SSD
