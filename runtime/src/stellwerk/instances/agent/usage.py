"""What instances use, from their control groups: CPU between two looks, memory now.

None stands for what could not be measured; it is never zero. Figures as scaling needs them: memory
is what the processes hold (anonymous and kernel memory) without the page cache, which the kernel
takes back when it needs to.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellwerk.instances.facts import Unit
from stellwerk.instances.model import InstanceKey
from stellwerk.instances.store import Sample

CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")
PROCESSES: Final = Path("/proc")

_MICROSECONDS: Final = 1_000_000


class Usage:
    """Remembers counters between two looks."""

    def __init__(self, groups: Path = CONTROL_GROUPS, processes: Path = PROCESSES) -> None:
        self._groups = groups
        self._processes = processes
        self._before: dict[InstanceKey, tuple[str, float, int]] = {}

    def measure(self, units: Mapping[InstanceKey, Unit]) -> list[Sample]:
        """A sample of every unit that has processes."""
        running = {key: unit for key, unit in units.items() if unit.control_group}
        for key in self._before.keys() - running.keys():
            del self._before[key]
        return [
            Sample(key, self._cpu_percent(key, unit), self._memory_bytes(unit))
            for key, unit in running.items()
        ]

    def _cpu_percent(self, key: InstanceKey, unit: Unit) -> float | None:
        """Of one core, since the last look at the same process."""
        used = _values(self._folder(unit) / "cpu.stat").get("usage_usec")
        if used is None:
            self._before.pop(key, None)
            return None
        now = time.monotonic()
        before = self._before.get(key)
        self._before[key] = (unit.invocation, now, used)
        if before is None or before[0] != unit.invocation or used < before[2] or now <= before[1]:
            return None
        return 100 * (used - before[2]) / _MICROSECONDS / (now - before[1])

    def _memory_bytes(self, unit: Unit) -> int | None:
        folder = self._folder(unit)
        parts = _values(folder / "memory.stat")
        if "anon" in parts:
            # Before Linux 5.18 there is no sum of the kernel's part.
            kernel = parts.get("kernel", parts.get("slab", 0) + parts.get("kernel_stack", 0))
            return parts["anon"] + kernel
        return self._resident_bytes(folder / "cgroup.procs")

    def _resident_bytes(self, listed: Path) -> int | None:
        """Where memory is not accounted: what its processes have resident, shared parts too."""
        with suppress(OSError, ValueError, IndexError):
            sizes = [
                int((self._processes / process / "statm").read_text().split()[1])
                for process in listed.read_text().split()
            ]
            return sum(sizes) * os.sysconf("SC_PAGE_SIZE") if sizes else None
        return None

    def _folder(self, unit: Unit) -> Path:
        return self._groups / unit.control_group.lstrip("/")


def _values(path: Path) -> dict[str, int]:
    """A file of `name number` lines; empty if it cannot be read."""
    with suppress(OSError, ValueError):
        lines = (line.split() for line in path.read_text().splitlines())
        return {name: int(number) for name, number in lines}
    return {}
