"""How much memory PostgreSQL may take at worst, and how much each operation gets so that this fits.

The wishes, their reasons and their names in the configuration are in `tuning`.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from stellwerk.database.quantities import KIBIBYTE, MEBIBYTE


class Allowance(StrEnum):
    """The memory settings that are lowered where they do not fit."""

    WORK = "work_mem"
    MAINTENANCE = "maintenance_work_mem"
    AUTOVACUUM = "autovacuum_work_mem"


MINIMUM_BYTES: Final = {
    Allowance.WORK: 64 * KIBIBYTE,
    Allowance.MAINTENANCE: MEBIBYTE,
    Allowance.AUTOVACUUM: MEBIBYTE,
}
"""PostgreSQL refuses less (pg_settings.min_val)."""

MAINTENANCE_SHARE: Final = 1 / 4
"""Part of scarce memory that maintenance gets before the connections take theirs."""


@dataclass(frozen=True)
class MemoryPlan:
    """Everything that counts towards the worst case; memory in bytes."""

    shared_buffers: int
    wal_buffers: int
    work_mem: int
    maintenance_work_mem: int
    autovacuum_work_mem: int
    connections: int
    parallel_workers: int
    autovacuum_workers: int
    hash_mem_multiplier: float

    @property
    def worst_case_bytes(self) -> int:
        """Memory when every process uses all it may at the same moment.

        Each connection and each parallel worker builds one hash table of work_mem x
        hash_mem_multiplier (the limits hold per process, PostgreSQL documentation, "Parallel
        Query"), every autovacuum worker its dead-row list, and one session runs maintenance. A
        query with several sorts can exceed its one; that all do so at once is not counted.
        """
        return self.shared_buffers + self.wal_buffers + sum(self.cost(each) for each in Allowance)

    def cost(self, allowance: Allowance) -> int:
        """Bytes that `allowance` adds to the worst case."""
        size: int = getattr(self, allowance)
        return math.ceil(size * self.holders(allowance))

    def holders(self, allowance: Allowance) -> float:
        """How many times `allowance` can be in use at once."""
        match allowance:
            case Allowance.WORK:
                return (self.connections + self.parallel_workers) * self.hash_mem_multiplier
            case Allowance.MAINTENANCE:
                return 1
            case Allowance.AUTOVACUUM:
                return self.autovacuum_workers


def minimal(wish: MemoryPlan, fixed: frozenset[Allowance]) -> MemoryPlan:
    """`wish` with every allowance that is not `fixed` at PostgreSQL's minimum."""
    lowest = {
        each: min(getattr(wish, each), MINIMUM_BYTES[each])
        for each in Allowance
        if each not in fixed
    }
    return replace(wish, **lowest)


def fit(wish: MemoryPlan, limit_bytes: int, fixed: frozenset[Allowance]) -> MemoryPlan | None:
    """Lower the allowances of `wish` until its worst case is at most `limit_bytes`.

    Maintenance is first given at most a quarter of what is free, connections the rest, and what
    they leave goes back to maintenance. None where not even PostgreSQL's minimum fits.
    """
    if wish.worst_case_bytes <= limit_bytes:
        return wish
    plan = minimal(wish, fixed)
    free = limit_bytes - plan.worst_case_bytes
    if free < 0:
        return None
    maintenance = frozenset({Allowance.MAINTENANCE, Allowance.AUTOVACUUM}) - fixed
    plan = _raise(plan, wish, maintenance, math.floor(free * MAINTENANCE_SHARE))
    plan = _raise(
        plan, wish, frozenset({Allowance.WORK}) - fixed, limit_bytes - plan.worst_case_bytes
    )
    return _raise(plan, wish, maintenance, limit_bytes - plan.worst_case_bytes)


def _raise(
    plan: MemoryPlan, wish: MemoryPlan, allowances: frozenset[Allowance], free_bytes: int
) -> MemoryPlan:
    """Give `free_bytes` to the allowances in equal steps per holder, none beyond its wish."""
    holders = sum(plan.holders(each) for each in allowances)
    if not holders:
        return plan
    more = int(free_bytes // holders)
    return replace(plan, **{each: _grown(each, plan, wish, more) for each in allowances})


def _grown(allowance: Allowance, plan: MemoryPlan, wish: MemoryPlan, more: int) -> int:
    """The allowance with up to `more` bytes, in whole steps of its minimum."""
    present: int = getattr(plan, allowance)
    wished: int = getattr(wish, allowance)
    step = MINIMUM_BYTES[allowance]
    return max(present, min(wished, (present + more) // step * step))
