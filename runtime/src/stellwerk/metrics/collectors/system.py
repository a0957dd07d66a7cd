"""The host itself: processors, memory, disks and network, as psutil reads them."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from stellwerk.metrics.collectors.collector import Found, Samples, SubjectCollector
from stellwerk.metrics.declarations import system
from stellwerk.metrics.model import Source

_FILESYSTEMS_SECONDS: Final = 300.0
"""How often the list of filesystems is read again."""

_NETWORK_FILESYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs", "9p"})
"""Their servers may be away, and asking for their space would then wait for them."""

_PAIRS: Final = ("veth", "ifb")  # of interfaces: what passes one is counted on another as well


class SystemCollector(SubjectCollector):
    """The host. Counters of devices that stand on others are left out, as they count twice."""

    def __init__(self, devices: Path = Path("/sys")) -> None:
        super().__init__(Source.SYSTEM, "host")
        self._devices = devices
        self._samples = Samples()
        self._counted: dict[str, bool] = {}
        self._filesystems: list[tuple[str, Samples]] = []
        self._listed_at = float("-inf")
        psutil.cpu_percent()  # of the time before nothing is known: the first answer is always 0

    async def collect(self) -> Found:
        disks = [
            one
            for name, one in psutil.disk_io_counters(perdisk=True, nowrap=False).items()
            if self._counts(name, self._is_disk)
        ]
        networks = [
            one
            for name, one in psutil.net_io_counters(pernic=True, nowrap=False).items()
            if self._counts(name, self._is_interface)
        ]
        samples = self._samples.of(
            (
                (system.CPU, psutil.cpu_percent()),
                (system.MEMORY, psutil.virtual_memory().percent),
                (system.LOAD, os.getloadavg()[0]),
                (system.DISK_READ, sum(one.read_bytes for one in disks)),
                (system.DISK_WRITTEN, sum(one.write_bytes for one in disks)),
                (system.NETWORK_SENT, sum(one.bytes_sent for one in networks)),
                (system.NETWORK_RECEIVED, sum(one.bytes_recv for one in networks)),
            )
        )
        for mountpoint, of_this in self._mounted():
            try:
                used = psutil.disk_usage(mountpoint).percent
            except OSError:
                continue  # unmounted since
            samples += of_this.of(((system.FILESYSTEM_USED, used),))
        return Found(samples)

    def _mounted(self) -> list[tuple[str, Samples]]:
        """Each local filesystem at the shortest of the paths it is mounted at."""
        if time.monotonic() - self._listed_at < _FILESYSTEMS_SECONDS:
            return self._filesystems
        shortest: dict[int, str] = {}
        paths = [
            one.mountpoint
            for one in psutil.disk_partitions()
            if one.fstype not in _NETWORK_FILESYSTEMS
        ]
        for path in sorted({"/", *paths}, key=lambda path: (len(path), path)):
            try:
                shortest.setdefault(os.stat(path).st_dev, path)  # noqa: PTH116 - psutil's paths
            except OSError:
                continue  # not ours to see
        self._filesystems = [(path, Samples(mountpoint=path)) for path in shortest.values()]
        self._listed_at = time.monotonic()
        return self._filesystems

    def _counts(self, name: str, decide: Callable[[str], bool]) -> bool:
        found = self._counted.get(name)
        if found is None:
            found = self._counted[name] = decide(name)
        return found

    def _is_disk(self, name: str) -> bool:
        return (self._devices / "block" / name / "device").exists()

    def _is_interface(self, name: str) -> bool:
        folder = self._devices / "class" / "net" / name
        stands_on_others = any((folder / kind).exists() for kind in ("bridge", "bonding"))
        return name != "lo" and not name.startswith(_PAIRS) and not stands_on_others
