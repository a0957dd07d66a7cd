"""Tuning as a pure function: a host's memory, CPUs, disk and workload in, settings out.

Figures that do not depend on memory are rows in `figures`; how memory is made to fit is in
`memory`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stellwerk.database import figures, memory
from stellwerk.database.figures import Disk, Workload
from stellwerk.database.memory import Allowance, MemoryPlan
from stellwerk.database.quantities import (
    GIBIBYTE,
    KIBIBYTE,
    MEBIBYTE,
    QuantityError,
    in_base_unit,
    parse_bytes,
    render_bytes,
    same_quantity,
)
from stellwerk.database.setting import ParameterValue, Setting, SettingError, Source, given
from stellwerk.database.wal import WalHistory, wal_sizes

HUGE_PAGES_FROM_BYTES: Final = 2 * GIBIBYTE
"""From this size of shared_buffers huge pages are asked for."""

HASH_MEM_MULTIPLIER: Final = "2.0"
"""PostgreSQL's default since 15; written out because the worst case depends on it."""

_MAX_CONNECTIONS_MAXIMUM: Final = 262_143  # pg_settings.max_val
_RESERVED_CONNECTIONS: Final = 3  # superuser_reserved_connections must stay below max_connections
_AUTOMATIC: Final = "-1"
_BASE_UNITS: Final = {
    "shared_buffers": "8kB",
    "effective_cache_size": "8kB",
    "wal_buffers": "8kB",
    Allowance.WORK.value: "kB",
    Allowance.MAINTENANCE.value: "kB",
    Allowance.AUTOVACUUM.value: "kB",
}
_LOWEST_BYTES: Final = {  # pg_settings.min_val
    "shared_buffers": 128 * KIBIBYTE,
    "effective_cache_size": 8 * KIBIBYTE,
    "wal_buffers": 32 * KIBIBYTE,
    **{each.value: size for each, size in memory.MINIMUM_BYTES.items()},
}


class TuningError(ValueError):
    """Inputs that no configuration can satisfy, in one sentence that says what to change."""


@dataclass(frozen=True)
class HostResources:
    """What the database host has."""

    ram_bytes: int
    cpus: int


@dataclass(frozen=True)
class TuningInputs:
    """What is wished for; the defaults are the figures of specification 4.1.

    `other_memory_bytes` is what other programs on the host may take (Redis' maxmemory, the
    services' limits): PostgreSQL plans with the rest. work_mem and maintenance_work_mem are
    wishes, lowered where they do not fit. `explicit` values are never changed: they fit as given
    or are refused. A history of the write-ahead log that covers a day decides about its size.
    """

    max_connections: int = 100
    workload: Workload = Workload.WEB
    disk: Disk = Disk.SSD
    version: int = 15
    memory_limit_percent: float = 90
    other_memory_bytes: int = 0
    shared_buffers_percent: float = 25
    effective_cache_size_percent: float = 75
    work_mem_bytes: int = 16 * MEBIBYTE
    maintenance_work_mem_bytes: int = 128 * MEBIBYTE
    wal_buffers_bytes: int = 16 * MEBIBYTE
    checkpoint_timeout_seconds: float = 900
    wal: WalHistory | None = None
    explicit: Mapping[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuning:
    """The settings in the order they are written, and what they can cost in memory at worst."""

    settings: tuple[Setting, ...]
    worst_case_bytes: int
    limit_bytes: int
    ram_bytes: int

    @property
    def worst_case_share_of_ram(self) -> float:
        """The worst case as a part of the whole RAM, 0 to 1."""
        return self.worst_case_bytes / self.ram_bytes

    @property
    def names(self) -> frozenset[str]:
        """The parameters this tuning sets."""
        return frozenset(setting.name for setting in self.settings)

    def value(self, name: str) -> str:
        """The text of parameter `name`. Raises `KeyError` where it is not set."""
        return {setting.name: setting.value for setting in self.settings}[name]


def tune(host: HostResources, inputs: TuningInputs) -> Tuning:
    """Choose every setting for this host, with its reason.

    The worst case (see `MemoryPlan.worst_case_bytes`) is at most `memory_limit_percent` of the
    memory that other programs leave, by construction. Raises `TuningError` where that cannot be,
    or where an input is out of range.
    """
    _check(host, inputs)
    pins = _pins(inputs)
    left = host.ram_bytes - inputs.other_memory_bytes
    limit = int(left * inputs.memory_limit_percent / 100)
    processes = _override(_process_settings(host, inputs), pins)
    wish = _wish(left, inputs, processes, pins)
    plan = memory.fit(wish, limit, _fixed(pins))
    if plan is None:
        raise TuningError(_does_not_fit(wish, limit, inputs, pins))
    settings = (
        *_override(_memory_settings(left, inputs, wish, plan), pins),
        *processes,
    )
    known = {setting.name for setting in settings}
    others = tuple(pins[name] for name in sorted(pins.keys() - known))
    return Tuning((*settings, *others), plan.worst_case_bytes, limit, host.ram_bytes)


def _check(host: HostResources, inputs: TuningInputs) -> None:
    ranges: tuple[tuple[str, float, float, float], ...] = (
        ("RAM in bytes", host.ram_bytes, MEBIBYTE, float("inf")),
        ("the number of CPUs", host.cpus, 1, float("inf")),
        (
            "max_connections",
            inputs.max_connections,
            _RESERVED_CONNECTIONS + 1,
            _MAX_CONNECTIONS_MAXIMUM,
        ),
        ("the version", inputs.version, figures.OLDEST_VERSION, figures.NEWEST_VERSION),
        ("memory_limit_percent", inputs.memory_limit_percent, 1, 100),
        ("other_memory_bytes", inputs.other_memory_bytes, 0, float("inf")),
        ("shared_buffers_percent", inputs.shared_buffers_percent, 1, 100),
        ("effective_cache_size_percent", inputs.effective_cache_size_percent, 1, 100),
        (
            "work_mem_bytes",
            inputs.work_mem_bytes,
            memory.MINIMUM_BYTES[Allowance.WORK],
            float("inf"),
        ),
        (
            "maintenance_work_mem_bytes",
            inputs.maintenance_work_mem_bytes,
            memory.MINIMUM_BYTES[Allowance.MAINTENANCE],
            float("inf"),
        ),
        ("wal_buffers_bytes", inputs.wal_buffers_bytes, _LOWEST_BYTES["wal_buffers"], GIBIBYTE),
    )
    for what, value, lowest, highest in ranges:
        if not lowest <= value <= highest:
            raise TuningError(f"PostgreSQL: {what} is {value}, but {_between(lowest, highest)}.")
    if inputs.other_memory_bytes >= host.ram_bytes:
        raise TuningError(
            f"PostgreSQL has no memory left: other programs may take "
            f"{_readable(inputs.other_memory_bytes)} of the host's {_readable(host.ram_bytes)}; "
            "lower their limits, or give the host more memory."
        )


def _between(lowest: float, highest: float) -> str:
    if highest == float("inf"):
        return f"must be at least {lowest}"
    return f"must be from {lowest} to {highest}"


def _pins(inputs: TuningInputs) -> dict[str, Setting]:
    """The operator's own values; amounts of memory in one notation, "automatic" left to us."""
    if "max_connections" in inputs.explicit:
        raise TuningError(
            "PostgreSQL: max_connections is an input of the tuning, as memory is planned with it: "
            "give it there and not among the explicit values."
        )
    pins: dict[str, Setting] = {}
    for name, value in inputs.explicit.items():
        try:
            pin = given(name, value)
            if pin.name in _BASE_UNITS:
                if pin.value == _AUTOMATIC:
                    continue
                pin = given(name, render_bytes(_size(name, pin.value)))
        except SettingError as error:
            raise TuningError(f"PostgreSQL: {error}") from error
        except QuantityError as error:
            raise TuningError(f"PostgreSQL: {name}: {error}") from error
        pins[name] = pin
    return pins


def _size(name: str, text: str) -> int:
    """Read an operator's amount of memory in bytes, as PostgreSQL would."""
    size = parse_bytes(text, _BASE_UNITS[name])
    lowest = _LOWEST_BYTES[name]
    if size < lowest:
        raise TuningError(
            f"PostgreSQL: {name} is {text}, but must be at least {render_bytes(lowest)}."
        )
    return size


def _fixed(pins: Mapping[str, Setting]) -> frozenset[Allowance]:
    return frozenset(each for each in Allowance if each in pins)


def _override(settings: Iterable[Setting], pins: Mapping[str, Setting]) -> tuple[Setting, ...]:
    """Put the operator's values in place; one that says the same keeps the figure's own reason."""
    return tuple(
        pins[setting.name]
        if setting.name in pins and not same_quantity(pins[setting.name].value, setting.value)
        else setting
        for setting in settings
    )


def _process_settings(host: HostResources, inputs: TuningInputs) -> tuple[Setting, ...]:
    return (
        *figures.planner(inputs.workload, inputs.disk),
        *_write_ahead_log(inputs),
        *figures.workers(host.cpus, inputs.workload),
        *figures.autovacuum(),
        *figures.operation(inputs.version),
    )


def _write_ahead_log(inputs: TuningInputs) -> tuple[Setting, ...]:
    fixed = figures.write_ahead_log()
    if inputs.wal is None or not inputs.wal.is_enough:
        return fixed
    sizes = wal_sizes(inputs.wal, inputs.checkpoint_timeout_seconds)
    rate = f"{inputs.wal.bytes_per_second / MEBIBYTE:.2g} MB/s"
    measured = {
        "max_wal_size": Setting(
            "max_wal_size",
            render_bytes(sizes.largest),
            f"Holds three checkpoint intervals of the {rate} that were written, at most a fifth of "
            "the free disk, so that the log does not force checkpoints.",
            Source.MEASURED,
        ),
        "min_wal_size": Setting(
            "min_wal_size",
            render_bytes(sizes.kept),
            "A quarter of max_wal_size is kept and reused.",
            Source.MEASURED,
        ),
    }
    return tuple(measured.get(one.name, one) for one in fixed)


def _wish(
    left: int,
    inputs: TuningInputs,
    processes: Iterable[Setting],
    pins: Mapping[str, Setting],
) -> MemoryPlan:
    """What the memory would be if there were enough of it."""
    values = {setting.name: setting.value for setting in (*processes, *pins.values())}

    def size(name: str, default: int) -> int:
        return _size(name, pins[name].value) if name in pins else default

    maintenance = size(Allowance.MAINTENANCE, _whole_kibibytes(inputs.maintenance_work_mem_bytes))
    return MemoryPlan(
        shared_buffers=size("shared_buffers", _steady(left * inputs.shared_buffers_percent / 100)),
        wal_buffers=size("wal_buffers", _whole_kibibytes(inputs.wal_buffers_bytes)),
        work_mem=size(Allowance.WORK, _whole_kibibytes(inputs.work_mem_bytes)),
        maintenance_work_mem=maintenance,
        autovacuum_work_mem=size(Allowance.AUTOVACUUM, maintenance),
        connections=inputs.max_connections,
        parallel_workers=int(_number(values, "max_parallel_workers", lowest=0)),
        autovacuum_workers=int(_number(values, "autovacuum_max_workers", lowest=1)),
        hash_mem_multiplier=_number(
            {"hash_mem_multiplier": HASH_MEM_MULTIPLIER, **values}, "hash_mem_multiplier", lowest=1
        ),
    )


def _number(values: Mapping[str, str], name: str, lowest: int) -> float:
    try:
        number = in_base_unit(values[name], None)
    except QuantityError as error:
        raise TuningError(f"PostgreSQL: {name}: {error}") from error
    if number < lowest:
        raise TuningError(f"PostgreSQL: {name} is {values[name]}, but must be at least {lowest}.")
    return number


def _memory_settings(
    left: int, inputs: TuningInputs, wish: MemoryPlan, plan: MemoryPlan
) -> tuple[Setting, ...]:
    share = "this host's RAM"
    if inputs.other_memory_bytes:
        share = f"the {_readable(left)} that other programs leave"
    huge = plan.shared_buffers >= HUGE_PAGES_FROM_BYTES
    return (
        Setting(
            "max_connections",
            str(inputs.max_connections),
            "Each connection is a process that may use work_mem, so memory is planned with this.",
            Source.SPECIFICATION,
        ),
        Setting(
            "shared_buffers",
            render_bytes(plan.shared_buffers),
            f"{inputs.shared_buffers_percent:g} % of {share}; the rest serves as file cache.",
            Source.SPECIFICATION,
        ),
        Setting(
            "huge_pages",
            "try" if huge else "off",
            "Saves page tables from 2GB of shared_buffers on, and is not worth it below.",
            Source.COMMON_PRACTICE,
        ),
        Setting(
            "effective_cache_size",
            render_bytes(_steady(left * inputs.effective_cache_size_percent / 100)),
            f"The planner may count on {inputs.effective_cache_size_percent:g} % of {share} "
            "holding cached pages; nothing is allocated.",
            Source.SPECIFICATION,
        ),
        _allowance(
            Allowance.WORK,
            wish,
            plan,
            inputs,
            "What one sort or hash may use before it spills to disk.",
        ),
        Setting(
            "hash_mem_multiplier",
            HASH_MEM_MULTIPLIER,
            "A hash table may use this many times work_mem, which the worst case counts.",
            Source.DOCUMENTATION,
        ),
        _allowance(
            Allowance.MAINTENANCE,
            wish,
            plan,
            inputs,
            "What building an index or a manual vacuum may use.",
        ),
        _allowance(
            Allowance.AUTOVACUUM,
            wish,
            plan,
            inputs,
            "What each autovacuum worker may use, as much as a manual vacuum.",
        ),
        Setting(
            "wal_buffers",
            render_bytes(plan.wal_buffers),
            "One segment of the write-ahead log, so that a busy commit waits for no buffer.",
            Source.SPECIFICATION,
        ),
    )


def _allowance(
    allowance: Allowance, wish: MemoryPlan, plan: MemoryPlan, inputs: TuningInputs, purpose: str
) -> Setting:
    wished: int = getattr(wish, allowance)
    planned: int = getattr(plan, allowance)
    if planned == wished:
        return Setting(allowance.value, render_bytes(planned), purpose, Source.SPECIFICATION)
    reason = (
        f"Lowered from {render_bytes(wished)}, so that {plan.connections} connections and "
        f"{plan.autovacuum_workers} autovacuum workers fit into "
        f"{inputs.memory_limit_percent:g} % of the memory left to PostgreSQL."
    )
    return Setting(allowance.value, render_bytes(planned), reason, Source.COMPUTED)


def _does_not_fit(
    wish: MemoryPlan, limit: int, inputs: TuningInputs, pins: Mapping[str, Setting]
) -> str:
    needed = memory.minimal(wish, _fixed(pins)).worst_case_bytes
    lower = ["max_connections", *sorted({"shared_buffers", *(pins.keys() & _BASE_UNITS.keys())})]
    if inputs.other_memory_bytes:
        lower.append("the memory of the other programs on this host")
    return (
        f"PostgreSQL needs at least {_readable(needed)} for {inputs.max_connections} connections "
        f"even with the smallest work_mem possible, but may take {_readable(limit)} "
        f"({inputs.memory_limit_percent:g} % of what is left to it): "
        f"lower {' or '.join(lower)}, or give the host more memory."
    )


def _steady(count: float) -> int:
    """Round down to two or three significant digits in binary.

    The kernel's own share of RAM changes by some kB with each of its versions; shared_buffers that
    followed it would ask for a restart each time.
    """
    step = max(MEBIBYTE, (1 << int(count).bit_length() - 1) // 64)
    return max(MEBIBYTE, int(count // step) * step)


def _whole_kibibytes(count: int) -> int:
    return count // KIBIBYTE * KIBIBYTE


def _readable(count: int) -> str:
    """Whole mebibytes, for sentences."""
    return f"{count / MEBIBYTE:.0f}MB"
