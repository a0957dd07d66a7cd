"""What the settings ask of the tuning: the same for a deploy and for the command on a host. Pure.

The figures themselves are in the settings, their reasons in `figures` and `tuning`.
"""

from typing import Final

from stellwerk.database.figures import Disk, Workload
from stellwerk.database.setting import ParameterValue
from stellwerk.database.tuning import HostResources, TuningInputs
from stellwerk.database.wal import WalHistory
from stellwerk.settings import Settings
from stellwerk.settings.postgresql import Postgresql

_LOG_SIZES: Final = ("min_wal_size", "max_wal_size")


def host_resources(settings: Settings, ram_bytes: int, cpus: int) -> HostResources:
    """The memory and CPUs to tune for: those of the settings, else those the host has."""
    postgresql = settings.postgresql
    return HostResources(postgresql.ram or ram_bytes, postgresql.cpus or cpus)


def tuning_inputs(
    settings: Settings, *, version: int, other_memory_bytes: int, wal: WalHistory | None = None
) -> TuningInputs:
    """The inputs of the tuning for a server of this major version.

    With a history of the write-ahead log, its size follows what was written, unless the settings
    give another one than the default.
    """
    postgresql = settings.postgresql
    return TuningInputs(
        max_connections=postgresql.max_connections,
        workload=Workload(postgresql.workload),
        disk=Disk(postgresql.disk),
        version=version,
        memory_limit_percent=postgresql.memory_limit_percent,
        other_memory_bytes=other_memory_bytes,
        shared_buffers_percent=postgresql.shared_buffers_percent,
        effective_cache_size_percent=postgresql.effective_cache_size_percent,
        work_mem_bytes=postgresql.work_mem,
        maintenance_work_mem_bytes=postgresql.maintenance_work_mem,
        wal_buffers_bytes=postgresql.wal_buffers,
        checkpoint_timeout_seconds=postgresql.checkpoint_timeout_seconds,
        wal=wal,
        explicit=_explicit(postgresql, measured=wal is not None),
    )


def _explicit(postgresql: Postgresql, *, measured: bool) -> dict[str, ParameterValue]:
    """Figures of the settings that tuning takes as they are; `parameters` have the last word."""
    vacuum = postgresql.autovacuum
    figures: dict[str, ParameterValue] = {
        "checkpoint_timeout": f"{postgresql.checkpoint_timeout_seconds}s",
        "checkpoint_completion_target": postgresql.checkpoint_completion_target,
        "seq_page_cost": postgresql.seq_page_cost,
        "cpu_tuple_cost": postgresql.cpu_tuple_cost,
        "cpu_index_tuple_cost": postgresql.cpu_index_tuple_cost,
        "cpu_operator_cost": postgresql.cpu_operator_cost,
        "autovacuum": vacuum.enabled,
        "autovacuum_max_workers": vacuum.max_workers,
        "autovacuum_naptime": f"{vacuum.naptime_seconds}s",
        "autovacuum_vacuum_threshold": vacuum.threshold,
        "autovacuum_vacuum_scale_factor": vacuum.scale_factor,
        "shared_preload_libraries": ",".join(postgresql.shared_preload_libraries),
    }
    if not (measured and _has_default_log_sizes(postgresql)):
        figures |= {name: getattr(postgresql, name).text for name in _LOG_SIZES}
    if postgresql.random_page_cost is not None:
        figures["random_page_cost"] = postgresql.random_page_cost
    return {**figures, **postgresql.parameters}


def _has_default_log_sizes(postgresql: Postgresql) -> bool:
    fields = type(postgresql).model_fields
    return all(getattr(postgresql, name) == fields[name].default for name in _LOG_SIZES)
