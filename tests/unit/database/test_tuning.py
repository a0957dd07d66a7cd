"""What an operator may rely on in the tuning of any host."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.figures import Disk, Workload
from stellwerk.database.quantities import GIBIBYTE, MEBIBYTE, parse_bytes
from stellwerk.database.setting import Source
from stellwerk.database.tuning import HostResources, Tuning, TuningError, TuningInputs, tune

hosts = st.builds(
    HostResources,
    ram_bytes=st.integers(512 * MEBIBYTE, 1024 * GIBIBYTE),
    cpus=st.integers(1, 128),
)
inputs = st.builds(
    TuningInputs,
    max_connections=st.integers(4, 2000),
    workload=st.sampled_from(Workload),
    disk=st.sampled_from(Disk),
    version=st.integers(15, 18),
    other_memory_bytes=st.integers(0, 2 * GIBIBYTE),
    work_mem_bytes=st.integers(64 * 1024, GIBIBYTE),
    maintenance_work_mem_bytes=st.integers(MEBIBYTE, 8 * GIBIBYTE),
    explicit=st.dictionaries(
        st.sampled_from(["autovacuum_max_workers", "max_parallel_workers", "hash_mem_multiplier"]),
        st.integers(1, 20),
    ),
)


def tuned(gibibytes: float, cpus: int = 4, **wishes: Any) -> Tuning:
    host = HostResources(int(gibibytes * GIBIBYTE), cpus)
    return tune(host, TuningInputs(**wishes))


def worst_case(tuning: Tuning) -> float:
    """The worst case again, from the values as they are written."""

    def size(name: str) -> int:
        return parse_bytes(tuning.value(name), "kB")

    def number(name: str) -> float:
        return float(tuning.value(name))

    processes = number("max_connections") + number("max_parallel_workers")
    return (
        size("shared_buffers")
        + size("wal_buffers")
        + processes * size("work_mem") * number("hash_mem_multiplier")
        + size("maintenance_work_mem")
        + number("autovacuum_max_workers") * size("autovacuum_work_mem")
    )


@given(hosts, inputs)
def test_the_worst_case_fits_into_its_share_or_is_refused(
    host: HostResources, wishes: TuningInputs
) -> None:
    try:
        tuning = tune(host, wishes)
    except TuningError:
        return
    allowed = 0.9 * (host.ram_bytes - wishes.other_memory_bytes)
    assert worst_case(tuning) <= allowed
    assert tuning.worst_case_bytes == pytest.approx(worst_case(tuning), abs=1)
    assert tuning.worst_case_share_of_ram <= 0.9


@given(hosts, inputs)
def test_nothing_falls_below_what_postgresql_accepts(
    host: HostResources, wishes: TuningInputs
) -> None:
    try:
        tuning = tune(host, wishes)
    except TuningError:
        return
    assert parse_bytes(tuning.value("work_mem"), "kB") >= 64 * 1024
    assert parse_bytes(tuning.value("maintenance_work_mem"), "kB") >= MEBIBYTE
    assert parse_bytes(tuning.value("autovacuum_work_mem"), "kB") >= MEBIBYTE


@given(st.integers(512 * MEBIBYTE, 64 * GIBIBYTE), st.integers(0, 8 * GIBIBYTE), st.integers(1, 64))
def test_more_memory_never_means_less_for_a_query(ram: int, more: int, cpus: int) -> None:
    def work_mem(ram_bytes: int) -> int:
        tuning = tune(HostResources(ram_bytes, cpus), TuningInputs())
        return parse_bytes(tuning.value("work_mem"), "kB")

    step_of_shared_buffers = 64 * 1024  # rounding shared_buffers may cost one step of work_mem
    assert work_mem(ram + more) >= work_mem(ram) - step_of_shared_buffers


@given(hosts, inputs)
def test_every_setting_is_set_once_with_one_sentence_and_a_source(
    host: HostResources, wishes: TuningInputs
) -> None:
    try:
        tuning = tune(host, wishes)
    except TuningError:
        return
    assert len(tuning.names) == len(tuning.settings)
    for setting in tuning.settings:
        assert setting.reason.endswith(".")
        assert "\n" not in setting.reason
        assert isinstance(setting.source, Source)


def test_a_large_host_gets_the_figures_of_the_specification() -> None:
    tuning = tuned(16)
    specified = {
        "shared_buffers": "4GB",
        "effective_cache_size": "12GB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "wal_buffers": "16MB",
        "max_connections": "100",
        "shared_preload_libraries": "pg_stat_statements",
        "random_page_cost": "1.1",
        "seq_page_cost": "1.0",
        "cpu_tuple_cost": "0.01",
        "cpu_index_tuple_cost": "0.005",
        "cpu_operator_cost": "0.0025",
        "checkpoint_completion_target": "0.9",
        "checkpoint_timeout": "15min",
        "max_wal_size": "2GB",
        "min_wal_size": "512MB",
        "autovacuum": "on",
        "autovacuum_max_workers": "3",
        "autovacuum_naptime": "1min",
        "autovacuum_vacuum_threshold": "50",
        "autovacuum_vacuum_scale_factor": "0.2",
    }
    assert {name: tuning.value(name) for name in specified} == specified


def test_shared_buffers_are_256_mb_on_a_host_of_1_gb() -> None:
    assert tuned(1).value("shared_buffers") == "256MB"


def test_a_lowered_value_says_what_it_was_lowered_from_and_why() -> None:
    (work_mem,) = (each for each in tuned(1).settings if each.name == "work_mem")
    assert "Lowered from 16MB" in work_mem.reason
    assert "100 connections" in work_mem.reason
    assert work_mem.source is Source.COMPUTED


def test_postgresql_shares_a_host_with_what_else_runs_there() -> None:
    shared, alone = tuned(8, other_memory_bytes=4 * GIBIBYTE), tuned(4)
    assert shared.value("shared_buffers") == alone.value("shared_buffers")
    assert shared.worst_case_bytes <= 0.9 * 4 * GIBIBYTE


def test_a_few_kilobytes_less_of_ram_do_not_ask_for_a_restart() -> None:
    first, second = (
        tune(HostResources(ram, 2), TuningInputs())
        for ram in (1_010_000 * 1024, 1_010_000 * 1024 - 300 * 1024)
    )
    assert first.value("shared_buffers") == second.value("shared_buffers")


@pytest.mark.parametrize(("gibibytes", "huge_pages"), [(4, "off"), (8, "try"), (1024, "try")])
def test_huge_pages_are_tried_from_2_gb_of_shared_buffers(gibibytes: int, huge_pages: str) -> None:
    assert tuned(gibibytes).value("huge_pages") == huge_pages


@pytest.mark.parametrize(
    ("workload", "jit", "statistics"),
    [(Workload.WEB, "off", "100"), (Workload.OLTP, "off", "100"), (Workload.DW, "on", "500")],
)
def test_the_workload_decides_about_compilation_and_statistics(
    workload: Workload, jit: str, statistics: str
) -> None:
    tuning = tuned(16, workload=workload)
    assert (tuning.value("jit"), tuning.value("default_statistics_target")) == (jit, statistics)


@pytest.mark.parametrize(
    ("disk", "cost", "reads"), [(Disk.HDD, "4.0", "2"), (Disk.NVME, "1.1", "1000")]
)
def test_the_disk_decides_what_random_reads_cost(disk: Disk, cost: str, reads: str) -> None:
    tuning = tuned(16, disk=disk)
    assert tuning.value("random_page_cost") == cost
    assert tuning.value("effective_io_concurrency") == reads


def test_one_query_takes_no_second_cpu_where_there_is_none() -> None:
    assert tuned(4, cpus=1).value("max_parallel_workers_per_gather") == "0"


@pytest.mark.parametrize(("version", "named"), [(15, False), (17, False), (18, True)])
def test_the_io_method_is_named_only_where_postgresql_knows_it(version: int, named: bool) -> None:
    assert ("io_method" in tuned(4, version=version).names) is named


def test_an_explicit_value_is_kept_and_the_rest_makes_room_for_it() -> None:
    tuning = tuned(2, explicit={"work_mem": "6MB"})
    assert tuning.value("work_mem") == "6MB"
    assert tuning.worst_case_share_of_ram <= 0.9
    assert parse_bytes(tuning.value("maintenance_work_mem"), "kB") < 128 * MEBIBYTE


def test_a_bare_explicit_number_counts_in_postgresqls_unit_of_that_setting() -> None:
    tuning = tuned(8, explicit={"shared_buffers": 131072, "work_mem": 4096})
    assert (tuning.value("shared_buffers"), tuning.value("work_mem")) == ("1GB", "4MB")


def test_automatic_memory_is_planned_as_if_it_was_not_given() -> None:
    automatic = {"wal_buffers": -1, "autovacuum_work_mem": "-1"}
    assert tuned(8, explicit=automatic) == tuned(8)


def test_an_explicit_value_that_says_the_same_keeps_the_reason_of_the_figure() -> None:
    assert tuned(16, explicit={"max_wal_size": "2GB"}) == tuned(16)


def test_an_explicit_parameter_beyond_the_tuning_is_set_too() -> None:
    assert tuned(4, explicit={"track_io_timing": True}).value("track_io_timing") == "on"


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"max_connections": 3}, "max_connections is 3, but must be from 4"),
        ({"max_connections": 20_000}, "lower max_connections or shared_buffers"),
        ({"version": 14}, "must be from 15 to 18"),
        ({"memory_limit_percent": 101}, "must be from 1 to 100"),
        ({"other_memory_bytes": 2 * GIBIBYTE}, "has no memory left"),
        ({"shared_buffers_percent": 95}, "even with the smallest work_mem"),
        ({"explicit": {"work_mem": "64MB"}}, "lower max_connections or shared_buffers or work_mem"),
        ({"explicit": {"work_mem": "64mb"}}, "work_mem: '64mb' is no amount of memory"),
        ({"explicit": {"work_mem": "1kB"}}, "work_mem is 1kB, but must be at least 64kB"),
        ({"explicit": {"wal_buffers": "-8MB"}}, "wal_buffers is -8MB"),
        ({"explicit": {"Work Mem": 1}}, "is no PostgreSQL parameter name"),
        ({"explicit": {"max_connections": 5}}, "is an input of the tuning"),
        ({"explicit": {"hash_mem_multiplier": "twice"}}, "hash_mem_multiplier: 'twice'"),
        ({"explicit": {"autovacuum_max_workers": 0}}, "must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(TuningError) as refused:
        tuned(1, **wishes)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_host_without_a_cpu_is_refused() -> None:
    with pytest.raises(TuningError, match="number of CPUs is 0"):
        tuned(1, cpus=0)
