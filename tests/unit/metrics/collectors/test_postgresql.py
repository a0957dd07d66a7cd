"""PostgreSQL as the monitor sees it: judged by the real server, in good and in bad states."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from stellwerk.metrics.collectors import libpq
from stellwerk.metrics.collectors.collector import SubjectCollector
from stellwerk.metrics.collectors.libpq import PostgresqlError, Row
from stellwerk.metrics.collectors.postgresql import (
    Access,
    PostgresqlCollector,
    PostgresqlSizesCollector,
    Slow,
    statements_sql,
)
from stellwerk.metrics.collectors.postgresql_views import ViewRefreshes
from stellwerk.metrics.declarations import postgresql as metrics
from stellwerk.metrics.reading import Reading, State
from tests.unit.database.conftest import binaries
from tests.unit.database.postgres_server import Binaries, Server, running
from tests.unit.instances.programs import in_a_loop

from .looks import SECONDS, frozen, look, value, within

__all__ = ["binaries"]

PASSWORD = "a password"
MEGABYTE = 1024**2
SHIPPED = Slow()
NO_VIEWS = ViewRefreshes("public", {})
SET_UP = f"""
    CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor;
    CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}';
    CREATE EXTENSION pg_stat_statements;
    CREATE DATABASE bare;
    CREATE TABLE large AS SELECT generate_series(1, 100000) AS number;
    ANALYZE large;
"""


@pytest.fixture(scope="module")
def server(binaries: Binaries) -> Iterator[Server]:
    """A server with a role for the monitor."""
    with running(binaries) as started:
        started.psql(SET_UP)
        yield started


@pytest.fixture
def access(server: Server) -> Access:
    """The server's socket, as the monitor's role."""
    return Access(str(server.data.parent), 5432, "postgres", "watcher", PASSWORD)


@asynccontextmanager
async def watching(access: Access, slow: Slow = SHIPPED) -> AsyncIterator[PostgresqlCollector]:
    collector = PostgresqlCollector(access, SECONDS, slow, NO_VIEWS)
    try:
        yield collector
    finally:
        collector.close()


async def once(collector: SubjectCollector) -> Reading:
    try:
        return await look(collector)
    finally:
        collector.close()


def process_of(server: Server) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


@pytest.mark.programs
@in_a_loop
async def test_connections_are_counted_by_what_they_do(access: Access) -> None:
    idle = await libpq.connect(access.parameters(SECONDS))
    waiting = await libpq.connect(access.parameters(SECONDS))
    await waiting.ask("BEGIN")
    async with watching(access) as collector:
        reading = await look(collector)
    assert reading.state is State.UP, reading.error
    assert value(reading, metrics.AVAILABILITY) == 1
    assert value(reading, metrics.ACTIVE_CONNECTIONS) == 0  # the look itself is none
    assert value(reading, metrics.IDLE_CONNECTIONS) == 1
    assert value(reading, metrics.IDLE_IN_TRANSACTION) == 1
    assert value(reading, metrics.CONNECTIONS) == 3  # of 100
    assert (value(reading, metrics.PROBE_QUERY) or 0) > 0
    idle.close()
    waiting.close()


@pytest.mark.programs
@in_a_loop
async def test_hit_ratios_are_of_the_time_between_two_looks(server: Server, access: Access) -> None:
    async with watching(access) as collector:
        assert value(await look(collector), metrics.CACHE_HIT) is None
        server.psql("SELECT count(*) FROM large; SELECT pg_stat_force_next_flush()")
        ratio = value(await look(collector), metrics.CACHE_HIT)
    assert ratio is not None
    assert 0 <= ratio <= 100


@pytest.mark.programs
@in_a_loop
async def test_slow_statements_are_counted_and_the_slowest_averaged(
    server: Server, access: Access
) -> None:
    server.psql("SELECT pg_stat_statements_reset()")
    server.psql("SELECT pg_sleep(0.05)")
    slow = Slow(counted_over=49, average_of=1, average_over=10)
    async with watching(access, slow) as collector:
        reading = await look(collector)
    exact = float(server.psql("SELECT max(mean_exec_time) FROM pg_stat_statements"))
    assert value(reading, metrics.SLOW_QUERIES) == 1
    assert value(reading, metrics.SLOW_QUERY_AVERAGE) == pytest.approx(exact)


@pytest.mark.programs
@in_a_loop
async def test_without_slow_statements_their_average_is_not_known(
    server: Server, access: Access
) -> None:
    server.psql("SELECT pg_stat_statements_reset()")
    async with watching(access) as collector:
        reading = await look(collector)
    assert value(reading, metrics.SLOW_QUERIES) == 0
    assert value(reading, metrics.SLOW_QUERY_AVERAGE) is None


@pytest.mark.programs
@in_a_loop
async def test_sizes_are_those_the_server_says(server: Server, access: Access) -> None:
    reading = await once(PostgresqlSizesCollector(access, SECONDS, interval=300))
    table = float(server.psql("SELECT pg_total_relation_size('large')")) / MEGABYTE
    assert value(reading, metrics.TABLE_SIZE, database="postgres", table="large") == table
    for database in ("postgres", "bare"):
        size = float(server.psql(f"SELECT pg_database_size('{database}')")) / MEGABYTE
        assert value(reading, metrics.DATABASE_SIZE, database=database) == size


@pytest.mark.programs
@in_a_loop
async def test_sizes_are_asked_for_only_when_their_interval_is_over(
    server: Server, access: Access
) -> None:
    now = 0.0
    sizes = PostgresqlSizesCollector(access, SECONDS, interval=300, clock=lambda: now)
    first = await look(sizes)
    server.psql("CREATE TABLE fresh AS SELECT 1 AS one")
    now = 299.0
    assert (await look(sizes)).samples == first.samples
    now = 300.0
    assert value(await look(sizes), metrics.TABLE_SIZE, table="fresh") is not None
    server.psql("DROP TABLE fresh")
    sizes.close()


@pytest.mark.programs
@in_a_loop
async def test_without_the_extension_only_slow_statements_are_missing(access: Access) -> None:
    async with watching(replace(access, database="bare")) as collector:
        reading = await look(collector)
    assert reading.state is State.UP
    assert value(reading, metrics.IDLE_CONNECTIONS) is not None
    assert value(reading, metrics.SLOW_QUERIES) is None
    (gap,) = reading.gaps
    assert gap.state is State.MISSING
    assert "pg_stat_statements is not in the database bare" in gap.reason


@pytest.mark.programs
@in_a_loop
async def test_a_wrong_password_is_refused_and_says_nothing_of_availability(
    access: Access,
) -> None:
    async with watching(replace(access, password="wrong")) as collector:
        reading = await look(collector)
    assert reading.state is State.REFUSED
    assert "password authentication failed" in (reading.error or "")
    assert reading.samples == ()


@pytest.mark.programs
@in_a_loop
async def test_a_role_that_may_not_see_the_others_counts_nothing(access: Access) -> None:
    async with watching(replace(access, user="stranger")) as collector:
        reading = await look(collector)
    assert reading.state is State.REFUSED
    assert "grant it pg_monitor" in (reading.error or "")
    assert reading.samples == ()


@pytest.mark.programs
@in_a_loop
async def test_a_frozen_server_costs_a_look_its_time_and_no_more(
    server: Server, access: Access
) -> None:
    async with watching(access) as collector:
        assert (await look(collector)).state is State.UP
        with frozen(process_of(server)):
            for _ in range(2):  # on the connection there was, and on a new one
                reading = await within(0.2, collector)
                assert reading.state is State.FROZEN
                assert value(reading, metrics.AVAILABILITY) == 0
                assert len(reading.samples) == 1
        assert (await look(collector)).state is State.UP


@pytest.mark.programs
@in_a_loop
async def test_a_server_that_comes_back_is_read_again(binaries: Binaries) -> None:
    with running(binaries) as server:
        access = Access(str(server.data.parent), 5432, "postgres", "postgres", None)
        async with watching(access) as collector:
            assert (await look(collector)).state is State.UP
            binaries.run("pg_ctl", "-D", str(server.data), "-m", "immediate", "-w", "stop")
            for _ in range(2):
                reading = await look(collector)
                assert reading.state is State.DOWN
                assert value(reading, metrics.AVAILABILITY) == 0
            log = str(server.data.parent / "log")
            binaries.run("pg_ctl", "-D", str(server.data), "-l", log, "-w", "start")
            assert (await look(collector)).state is State.UP


class OldServer:
    """A connection to a server that knows none of the questions."""

    version = 90624

    async def ask(self, sql: str) -> list[Row]:
        raise PostgresqlError("42703", sql)

    def close(self) -> None:
        pass


@in_a_loop
async def test_a_server_too_old_to_be_read_is_said_to_be() -> None:
    async def connected(_: Mapping[str, str]) -> OldServer:
        return OldServer()

    access = Access("/run/postgresql", 5432, "product", "watcher", None)
    reading = await look(PostgresqlCollector(access, SECONDS, SHIPPED, NO_VIEWS, connected))
    assert reading.state is State.UNSUPPORTED
    assert "PostgreSQL 9 cannot be read" in (reading.error or "")


@pytest.mark.parametrize(
    ("version", "column"), [("1.4", "mean_time"), ("1.7", "mean_time"), ("1.10", "mean_exec_time")]
)
def test_the_column_of_mean_times_follows_the_extension(version: str, column: str) -> None:
    assert f"SELECT {column} AS mean" in statements_sql(version, "public", Slow())


def test_no_password_is_in_what_is_printed_of_an_access() -> None:
    assert PASSWORD not in repr(Access("db-1", 5432, "postgres", "watcher", PASSWORD))
