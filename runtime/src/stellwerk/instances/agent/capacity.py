"""What an app host has and has left: cores and memory. New instances go where there is room.

None stands for what the kernel does not tell.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellwerk.instances.store import Capacity

MEMORY: Final = Path("/proc/meminfo")

_KILOBYTE: Final = 1024


def capacity(path: Path = MEMORY) -> Capacity:
    """What there is at this moment. Memory that the page cache gives back counts as free."""
    values = _kilobytes(path)
    return Capacity(
        cores=os.cpu_count(),
        memory_bytes=_bytes(values.get("MemTotal")),
        free_memory_bytes=_bytes(values.get("MemAvailable")),
    )


def _kilobytes(path: Path) -> dict[str, int]:
    with suppress(OSError, ValueError, IndexError):
        rows = (line.partition(":") for line in path.read_text().splitlines())
        return {name: int(value.split()[0]) for name, _, value in rows}
    return {}


def _bytes(kilobytes: int | None) -> int | None:
    return None if kilobytes is None else _KILOBYTE * kilobytes
