"""What the processes of a control group use: processor time since its start, memory now.

None stands for what the kernel does not count; it is never zero. Memory is what the processes hold
(anonymous and kernel memory) without the page cache, which the kernel takes back when it needs to.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellwerk.host import kernel_file

CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
PROCESSES: Final = Path("/proc")


class ControlGroups:
    """The control groups of a host, by name as systemd gives it."""

    def __init__(self, groups: Path = CONTROL_GROUPS, processes: Path = PROCESSES) -> None:
        self._groups = f"{groups}/"
        self._processes = f"{processes}/"

    def cpu_microseconds(self, name: str) -> int | None:
        """The processor time its processes have had since the group was made."""
        return _number(_read(f"{self._groups}{name.lstrip('/')}/cpu.stat"), b"usage_usec ")

    def memory_bytes(self, name: str) -> int | None:
        """The memory its processes hold now."""
        folder = f"{self._groups}{name.lstrip('/')}"
        parts = _read(f"{folder}/memory.stat")
        anonymous = _number(parts, b"anon ")
        if anonymous is None:
            return self._resident_bytes(f"{folder}/cgroup.procs")
        kernel = _number(parts, b"kernel ")
        if kernel is None:  # before Linux 5.18 there is no sum of the kernel's part
            kernel = sum(_number(parts, part) or 0 for part in (b"slab ", b"kernel_stack "))
        return anonymous + kernel

    def _resident_bytes(self, listed: str) -> int | None:
        """Where memory is not accounted: what its processes have resident, shared parts too."""
        with suppress(ValueError, IndexError):
            sizes = [
                int(_read(f"{self._processes}{process}/statm").split()[1])
                for process in _read(listed).decode().split()
            ]
            return sum(sizes) * os.sysconf("SC_PAGE_SIZE") if sizes else None
        return None


def _number(text: bytes, name: bytes) -> int | None:
    """The number in the line `name number`."""
    start = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if not text.startswith(name, start):
        return None
    start += len(name)
    end = text.find(b"\n", start)
    value = text[start:] if end < 0 else text[start:end]
    return int(value) if value.isdigit() else None


def _read(path: str) -> bytes:
    """All of a file of the kernel; empty if it cannot be read."""
    try:
        return kernel_file.read(path)
    except OSError:
        return b""
