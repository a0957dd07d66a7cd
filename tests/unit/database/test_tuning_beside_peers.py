"""The tuning stays within the range that public tuning tools span, or says why it does not."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stellwerk.database.figures import Disk, Workload
from stellwerk.database.quantities import MEBIBYTE, parse_bytes
from stellwerk.database.tuning import HostResources, TuningInputs, tune

CASES = Path(__file__).parents[3] / "../shared/cases/postgresql_tuning.json"

DELIBERATE_DIFFERENCES = {
    "work_mem": "16 MB is the specification's, lowered where memory is short; the peers share out "
    "all memory, or give 64 MB and count on a pooler.",
    "maintenance_work_mem": "128 MB is the specification's; the peers grow it with the memory.",
    "max_wal_size": "2 GB is the specification's; the peers go by the workload or the disk.",
    "min_wal_size": "512 MB is the specification's, a quarter of max_wal_size.",
    "default_statistics_target": "Two peers sample finer for all; we for warehouses.",
    "max_worker_processes": "Never below PostgreSQL's own 8, where a peer follows few CPUs down.",
    "max_parallel_workers_per_gather": "At most two beside a web or OLTP query, so that one query "
    "does not slow down all others; none where there is one CPU.",
    "max_parallel_workers": "One for each CPU; a peer leaves it at 8 on hosts of few CPUs.",
    "max_parallel_maintenance_workers": "Half the CPUs and at most four, so that queries go on.",
    "autovacuum_max_workers": "3 are the specification's; the peers take up to 10.",
    "autovacuum_naptime": "1 min is the specification's; a peer looks every 10 s.",
    "autovacuum_vacuum_scale_factor": "0.2 is the specification's; two peers vacuum earlier.",
    "autovacuum_work_mem": "As maintenance_work_mem, so that the worst case can be planned.",
    "hash_mem_multiplier": "PostgreSQL's own 2; Pigsty takes 8, a main part of its worst case.",
    "effective_io_concurrency": "By the kind of disk; a peer takes one figure for all of them.",
    "wal_compression": "lz4 where a peer takes pglz (on), which costs more CPU.",
    "huge_pages": "Asked for from 2 GB of shared_buffers; an older peer waited for 8 GB.",
    "wal_buffers on small hosts": "16 MB are the specification's for its host of 1 GB as well; the "
    "peers take 3 % of shared_buffers below 2 GB of RAM.",
}
WITHIN_THE_RANGE = {
    "shared_buffers",
    "effective_cache_size",
    "wal_buffers",
    "checkpoint_completion_target",
    "random_page_cost",
}
SMALL_HOST_MEBIBYTES = 2048


def _cases() -> list[dict[str, Any]]:
    if not CASES.exists():
        return []
    loaded: list[dict[str, Any]] = json.loads(CASES.read_text())["cases"]
    return [case for case in loaded if case["input"].get("workload") != "desktop"]


ALL_CASES = _cases()


def _comparable(name: str, value: object) -> float | str:
    text = str(value)
    if name.endswith("_kb"):
        return float(text) * 1024
    try:
        return float(text)
    except ValueError:
        return text


def _ours(case: Mapping[str, Any]) -> dict[str, float | str]:
    given = case["input"]
    tuning = tune(
        HostResources(given["ram_mb"] * MEBIBYTE, given["cpus"]),
        TuningInputs(
            max_connections=given.get("connections") or 100,
            workload=Workload(given.get("workload") or "web"),
            disk=Disk(given.get("disk") or "ssd"),
            version=given["pg"],
        ),
    )
    return {
        peer_name: float(parse_bytes(tuning.value(name), "kB"))
        if peer_name.endswith("_kb")
        else _comparable(name, tuning.value(name))
        for peer_name in case["output"]
        if (name := peer_name.removesuffix("_kb")) in tuning.names
    }


def _ranges() -> dict[tuple[int, int], dict[str, set[float | str]]]:
    """What the peers give for a setting on the same memory and CPUs, whatever else is asked."""
    ranges: dict[tuple[int, int], dict[str, set[float | str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for case in ALL_CASES:
        host = case["input"]["ram_mb"], case["input"]["cpus"]
        for name, value in case["output"].items():
            ranges[host][name].add(_comparable(name, value))
    return ranges


def _within(value: float | str, peers: set[float | str]) -> bool:
    numbers = [peer for peer in peers if isinstance(peer, float)]
    if isinstance(value, float) and numbers:
        return min(numbers) <= value <= max(numbers)
    return value in peers


@pytest.mark.skipif(not ALL_CASES, reason="the peers' cases are not beside this repository")
def test_agreed_settings_lie_within_the_range_of_the_peers() -> None:
    ranges, outside = _ranges(), set()
    for case in ALL_CASES:
        memory, cpus = case["input"]["ram_mb"], case["input"]["cpus"]
        for name, value in _ours(case).items():
            if not _within(value, ranges[memory, cpus][name]):
                small = name == "wal_buffers_kb" and memory < SMALL_HOST_MEBIBYTES
                outside.add("wal_buffers on small hosts" if small else name.removesuffix("_kb"))
    assert outside.isdisjoint(WITHIN_THE_RANGE)
    assert outside <= DELIBERATE_DIFFERENCES.keys()


@pytest.mark.skipif(not ALL_CASES, reason="the peers' cases are not beside this repository")
def test_every_deliberate_difference_is_still_one() -> None:
    differing = set()
    for case in ALL_CASES:
        for name, value in _ours(case).items():
            if value != _comparable(name, case["output"][name]):
                plain = name.removesuffix("_kb")
                small = plain == "wal_buffers" and case["input"]["ram_mb"] < SMALL_HOST_MEBIBYTES
                differing.add("wal_buffers on small hosts" if small else plain)
    assert DELIBERATE_DIFFERENCES.keys() <= differing
