"""The figures of a PostgreSQL server that do not depend on its memory, each with its reason.

Tables, so that another figure is another row. Memory is planned in `memory`.
"""

from enum import StrEnum
from typing import Final

from stellwerk.database.setting import Setting, Source


class Workload(StrEnum):
    """What the database mostly does."""

    WEB = "web"
    OLTP = "oltp"
    DW = "dw"
    MIXED = "mixed"


class Disk(StrEnum):
    """What the data directory lies on."""

    SSD = "ssd"
    HDD = "hdd"
    NVME = "nvme"
    SAN = "san"


OLDEST_VERSION: Final = 15
NEWEST_VERSION: Final = 18

_FIRST_VERSION_WITH_IO_METHOD: Final = 18
_PARALLEL_SETTING_MAXIMUM: Final = 1024  # pg_settings.max_val of the max_parallel_* settings

_PLANNER: Final = (
    Setting(
        "seq_page_cost",
        "1.0",
        "Reading a page in order is the unit in which all other costs are counted.",
        Source.SPECIFICATION,
    ),
    Setting(
        "cpu_tuple_cost",
        "0.01",
        "Handling a row costs a hundredth of reading a page.",
        Source.SPECIFICATION,
    ),
    Setting(
        "cpu_index_tuple_cost",
        "0.005",
        "Handling an index entry costs half as much as handling a row.",
        Source.SPECIFICATION,
    ),
    Setting(
        "cpu_operator_cost",
        "0.0025",
        "Evaluating an operator costs a quarter of handling a row.",
        Source.SPECIFICATION,
    ),
)

_WRITE_AHEAD_LOG: Final = (
    Setting(
        "checkpoint_timeout",
        "15min",
        "Rarer checkpoints write fewer full pages, at the price of a longer crash recovery.",
        Source.SPECIFICATION,
    ),
    Setting(
        "checkpoint_completion_target",
        "0.9",
        "Spreads a checkpoint's writes over most of the interval, so that queries feel no burst.",
        Source.SPECIFICATION,
    ),
    Setting(
        "max_wal_size",
        "2GB",
        "The log may grow this far before a checkpoint is forced ahead of its time.",
        Source.SPECIFICATION,
    ),
    Setting(
        "min_wal_size",
        "512MB",
        "This much of the log is kept and reused, so that a burst of writes creates no files.",
        Source.SPECIFICATION,
    ),
    Setting(
        "wal_compression",
        "lz4",
        "Compresses full pages in the log, by the method that Debian's builds were seen to have.",
        Source.MEASURED,
    ),
)

_AUTOVACUUM: Final = (
    Setting(
        "autovacuum",
        "on",
        "Without it tables bloat and transaction numbers run out.",
        Source.SPECIFICATION,
    ),
    Setting(
        "autovacuum_max_workers",
        "3",
        "As many tables are vacuumed at once, each with its own autovacuum_work_mem.",
        Source.SPECIFICATION,
    ),
    Setting(
        "autovacuum_naptime",
        "1min",
        "Each database is looked at once in this time.",
        Source.SPECIFICATION,
    ),
    Setting(
        "autovacuum_vacuum_threshold",
        "50",
        "Tables with fewer dead rows than this are left alone.",
        Source.SPECIFICATION,
    ),
    Setting(
        "autovacuum_vacuum_scale_factor",
        "0.2",
        "A table is vacuumed once this part of its rows is dead.",
        Source.SPECIFICATION,
    ),
)

_OPERATION: Final = (
    Setting(
        "shared_preload_libraries",
        "pg_stat_statements",
        "Statistics per statement, read by the collector, have to be loaded at the start.",
        Source.SPECIFICATION,
    ),
    Setting(
        "pg_stat_statements.track_utility",
        "off",
        "A dump, a bulk load or an index that is built would count as a slow query from then on.",
        Source.DOCUMENTATION,
    ),
    Setting(
        "password_encryption",
        "scram-sha-256",
        "Whoever reads a stored SCRAM verifier cannot log in with it, unlike with an md5 hash.",
        Source.DOCUMENTATION,
    ),
    Setting(
        "log_checkpoints",
        "on",
        "One line per checkpoint shows whether max_wal_size forces them too often.",
        Source.DOCUMENTATION,
    ),
    Setting(
        "log_lock_waits",
        "on",
        "Names who waits for whom when a lock is held longer than deadlock_timeout.",
        Source.DOCUMENTATION,
    ),
    Setting(
        "log_autovacuum_min_duration",
        "1min",
        "Reports only those automatic vacuums that run long enough to be felt.",
        Source.DOCUMENTATION,
    ),
)

_STATISTICS_TARGET: Final = {
    Workload.WEB: "100",
    Workload.OLTP: "100",
    Workload.DW: "500",
    Workload.MIXED: "100",
}
_JIT: Final = {
    Workload.WEB: "off",
    Workload.OLTP: "off",
    Workload.DW: "on",
    Workload.MIXED: "off",
}
_WORKERS_PER_QUERY: Final = {
    Workload.WEB: 2,
    Workload.OLTP: 2,
    Workload.DW: _PARALLEL_SETTING_MAXIMUM,
    Workload.MIXED: 4,
}
_RANDOM_PAGE_COST: Final = {
    Disk.SSD: "1.1",
    Disk.HDD: "4.0",
    Disk.NVME: "1.1",
    Disk.SAN: "1.1",
}
_CONCURRENT_READS: Final = {
    Disk.SSD: "200",
    Disk.HDD: "2",
    Disk.NVME: "1000",
    Disk.SAN: "300",
}


def planner(workload: Workload, disk: Disk) -> tuple[Setting, ...]:
    """What the planner assumes about the disk and about the queries."""
    return (
        Setting(
            "random_page_cost",
            _RANDOM_PAGE_COST[disk],
            f"What a random read costs on {disk} beside one in order.",
            Source.COMMON_PRACTICE if disk is Disk.HDD else Source.SPECIFICATION,
        ),
        *_PLANNER,
        Setting(
            "effective_io_concurrency",
            _CONCURRENT_READS[disk],
            f"As many reads at once as {disk} answers without slowing down.",
            Source.COMMON_PRACTICE,
        ),
        Setting(
            "default_statistics_target",
            _STATISTICS_TARGET[workload],
            f"How finely columns are sampled, for the queries of a {workload} workload.",
            Source.COMMON_PRACTICE,
        ),
        Setting(
            "jit",
            _JIT[workload],
            "Compiling a query pays only where queries run for seconds, as in a data warehouse.",
            Source.COMMON_PRACTICE,
        ),
    )


def write_ahead_log() -> tuple[Setting, ...]:
    """Checkpoints and the size of the write-ahead log."""
    return _WRITE_AHEAD_LOG


def workers(cpus: int, workload: Workload) -> tuple[Setting, ...]:
    """Background and parallel processes, by the number of CPUs."""
    parallel = min(cpus, _PARALLEL_SETTING_MAXIMUM)
    per_query = min(_WORKERS_PER_QUERY[workload], parallel // 2)
    return (
        Setting(
            "max_worker_processes",
            str(max(8, parallel)),
            "Room for one parallel worker per CPU, never below PostgreSQL's own 8.",
            Source.DOCUMENTATION,
        ),
        Setting(
            "max_parallel_workers",
            str(parallel),
            "More parallel workers than CPUs only wait for each other.",
            Source.COMMON_PRACTICE,
        ),
        Setting(
            "max_parallel_workers_per_gather",
            str(per_query),
            f"One {workload} query may take as many of the {cpus} CPUs besides its own.",
            Source.COMMON_PRACTICE,
        ),
        Setting(
            "max_parallel_maintenance_workers",
            str(min(4, parallel // 2)),
            "An index is built by up to half the CPUs, at most four, so that queries go on.",
            Source.COMMON_PRACTICE,
        ),
    )


def autovacuum() -> tuple[Setting, ...]:
    """When and with how many workers tables are vacuumed."""
    return _AUTOVACUUM


def operation(version: int) -> tuple[Setting, ...]:
    """Libraries, passwords, log lines and what only newer versions know."""
    if version < _FIRST_VERSION_WITH_IO_METHOD:
        return _OPERATION
    return (
        *_OPERATION,
        Setting(
            "io_method",
            "worker",
            "Works on every kernel; io_uring fails to start where it is filtered or not built in.",
            Source.DOCUMENTATION,
        ),
    )
