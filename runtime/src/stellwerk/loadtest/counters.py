"""What Linux counts of its processors and memory, and the percentages it stands for. Pure."""

import re
from dataclasses import dataclass
from typing import Final, Self

ANSWER_SCRIPT: Final = (
    "while read -r number; do read -r processors </proc/stat;"
    ' echo "$number" $processors $(grep -E "^Mem(Total|Available):" /proc/meminfo); done'
)
"""Shell that answers each line, a number, with one line: that number, the sum of all processors in
/proc/stat, and two figures of /proc/meminfo.
"""
_COUNTERS: Final = re.compile(
    r"cpu(?P<times>(?: \d+){5,}) MemTotal: (?P<total>\d+) kB MemAvailable: (?P<available>\d+) kB"
)
_IDLE: Final = slice(3, 5)  # idle, and idle while something waits for a disk
_DISTINCT: Final = 8  # what follows, the time of guests, is in the others already


@dataclass(frozen=True)
class Counters:
    """Processor time since the boot in the kernel's ticks, and memory in kB."""

    elapsed: int
    idle: int
    memory_total: int
    memory_available: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The counters in an answer, without its number; None where it is something else."""
        found = _COUNTERS.fullmatch(text)
        if found is None or not int(found["total"]):
            return None
        times = [int(time) for time in found["times"].split()]
        return cls(
            sum(times[:_DISTINCT]),
            sum(times[_IDLE]),
            int(found["total"]),
            int(found["available"]),
        )

    def cpu_percent(self, before: Self) -> float | None:
        """The share of all processors that was busy since `before`: neither idle nor waiting for a
        disk. What a hypervisor took for others (steal) counts as busy. None where no time passed.
        """
        elapsed = self.elapsed - before.elapsed
        if elapsed <= 0:
            return None
        # The kernel may count time spent waiting for a disk back.
        busy = elapsed - (self.idle - before.idle)
        return 100 * min(max(busy / elapsed, 0.0), 1.0)

    @property
    def memory_percent(self) -> float:
        """The share of memory that programs cannot have without swapping."""
        return 100 * (1 - min(self.memory_available / self.memory_total, 1.0))
