"""What instances use, from their control groups: CPU between two looks, memory now.

None stands for what could not be measured; it is never zero.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stellwerk.host.control_group import CONTROL_GROUPS, PROCESSES, ControlGroups
from stellwerk.host.unit import Unit
from stellwerk.instances.model import InstanceKey
from stellwerk.instances.store import Sample

_MICROSECONDS: Final = 1_000_000


class Usage:
    """Remembers counters between two looks."""

    def __init__(self, groups: Path = CONTROL_GROUPS, processes: Path = PROCESSES) -> None:
        self._groups = ControlGroups(groups, processes)
        self._before: dict[InstanceKey, tuple[str, float, int]] = {}

    def measure(self, units: Mapping[InstanceKey, Unit]) -> list[Sample]:
        """A sample of every unit that has processes."""
        running = {key: unit for key, unit in units.items() if unit.control_group}
        for key in self._before.keys() - running.keys():
            del self._before[key]
        return [
            Sample(key, self._cpu_percent(key, unit), self._groups.memory_bytes(unit.control_group))
            for key, unit in running.items()
        ]

    def _cpu_percent(self, key: InstanceKey, unit: Unit) -> float | None:
        """Of one core, since the last look at the same process."""
        used = self._groups.cpu_microseconds(unit.control_group)
        if used is None:
            self._before.pop(key, None)
            return None
        now = time.monotonic()
        before = self._before.get(key)
        self._before[key] = (unit.invocation, now, used)
        if before is None or before[0] != unit.invocation or used < before[2] or now <= before[1]:
            return None
        return 100 * (used - before[2]) / _MICROSECONDS / (now - before[1])
