"""Measures PostgreSQL as it is tuned, and the event store on it: `python -m tests.bench database`.

A throw-away server of this machine, with fsync on; for a host of 2 GB and 2 CPUs.
"""

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from statistics import median

from stellwerk.database.configuration import quote_value
from stellwerk.database.figures import Workload
from stellwerk.database.quantities import GIBIBYTE, KIBIBYTE
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from stellwerk.eventstore.events import BEGINNING, EventStore, NewEvent
from stellwerk.eventstore.indexes import build_indexes
from stellwerk.eventstore.views import refresh
from tests.bench.table import Figure, show
from tests.unit.database.postgres_server import Server, find_binaries
from tests.unit.eventstore.store_server import (
    Site,
    connect_async,
    make_database,
    make_store,
    running_with_roles,
    session_of,
)

_HOST = HostResources(2 * GIBIBYTE, 2)
_SCALE = 20  # 300 MB, more than Debian's shared_buffers and less than those for 2 GB
_CLIENTS, _SECONDS, _ROUNDS = 8, 15, 3
# Neither of them loads pg_stat_statements, which the throw-away server does otherwise.
_DEBIAN = {"shared_preload_libraries": ""}
# What pgtune (7caef27c, 2026-07-30) gives for 2 GB, 2 CPUs, SSD and a web application.
_PGTUNE = {
    "shared_preload_libraries": "",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "effective_cache_size": "1536MB",
    "maintenance_work_mem": "128MB",
    "checkpoint_completion_target": "0.9",
    "wal_buffers": "16MB",
    "default_statistics_target": "100",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "200",
    "work_mem": "4MB",
    "huge_pages": "off",
    "jit": "off",
    "wal_compression": "lz4",
    "min_wal_size": "1GB",
    "max_wal_size": "4GB",
}
_AGGREGATES, _BATCH = 10_000, 100  # 1,000,000 events
_CONNECTIONS = 15  # of the pool's 5 to 50, its average use (specification 1.1)
_SUSTAINED, _PEAK = 1_000, 5_000  # events a second (specification 1.1)
_LATENCY = "50 ms (processing_latency)"
_PORTFOLIOS = 20_000
_READS = 2_000
_PAYLOAD = {"symbol": "AAPL", "note": "x" * 430}  # 480 B as JSON (specification 1.1)


def main() -> None:
    """Measure pgbench with three configurations, then the event store with ours."""
    binaries = find_binaries()
    if binaries is None:
        print("no PostgreSQL server is installed here")
        return
    with running_with_roles(binaries) as server:
        title = f"pgbench, {_CLIENTS} clients, {_ROUNDS} x {_SECONDS} s each: median and range"
        show(title, list(_pgbench(server)))
        _configure(server, _tuned(server))
        site = make_database(server, "events")
        make_store(site)
        title = f"{_AGGREGATES * _BATCH:,} events of 480 B, {_CONNECTIONS} connections"
        show(title, list(_events(site)))
        show(f"{_PORTFOLIOS:,} portfolios", list(_portfolios(site)))


def _tuned(server: Server) -> dict[str, str]:
    inputs = TuningInputs(workload=Workload.MIXED, version=server.binaries.major_version)
    return {one.name: one.value for one in tune(_HOST, inputs).settings}


def _configure(server: Server, settings: Mapping[str, str]) -> None:
    """Restart with these settings over PostgreSQL's own, with writes that reach the disk."""
    lines = ["fsync = on", *(f"{name} = {quote_value(text)}" for name, text in settings.items())]
    (server.data / "drop_in.conf").write_text("\n".join(lines) + "\n")
    log = server.data / "log"
    done = server.binaries.run("pg_ctl", "-D", str(server.data), "-l", str(log), "-w", "restart")
    if done.returncode:
        raise RuntimeError(log.read_text())


def _pgbench(server: Server) -> Iterator[Figure]:
    """Each configuration in turn, several times over: what else the machine does hits all alike."""
    server.psql("CREATE DATABASE pgbench")
    _run_pgbench(server, "-i", "-q", "-s", str(_SCALE))
    kinds = {"Debian's defaults": _DEBIAN, "pgtune's settings": _PGTUNE, "ours": _tuned(server)}
    tests: dict[str, tuple[str, ...]] = {"reading and writing": (), "reading": ("-S",)}
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    logs: dict[str, list[float]] = defaultdict(list)
    for _ in range(_ROUNDS):
        for kind, settings in kinds.items():
            _configure(server, settings)
            server.psql("\\connect pgbench\nVACUUM; CHECKPOINT")
            _run_pgbench(server, "-S", "-T", "3")  # what the caches hold
            for test, flags in tests.items():
                before = _wal_bytes(server)
                said = _run_pgbench(
                    server, *flags, "-T", str(_SECONDS), "-c", str(_CLIENTS), "-j", "2"
                )
                rates[test, kind].append(_figure(said, "tps"))
                if not flags:
                    count = _figure(said, "number of transactions actually processed")
                    logs[kind].append((_wal_bytes(server) - before) / count / KIBIBYTE)
    for (test, kind), found in sorted(rates.items(), reverse=True):
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        yield Figure(f"{test}, {kind}", f"{median(found):,.0f} /s ({spread})", "-")
    for kind, sizes in logs.items():
        yield Figure(f"log of a transaction, {kind}", f"{median(sizes):.1f} kB", "-")


def _wal_bytes(server: Server) -> int:
    return int(server.psql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))


def _run_pgbench(server: Server, *arguments: str) -> str:
    folder = str(server.data.parent)
    done = server.binaries.run("pgbench", "-h", folder, "-U", "postgres", *arguments, "pgbench")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _figure(said: str, name: str) -> float:
    """What pgbench says of it."""
    found = re.search(rf"{name}(?: =|:) ([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])


def _events(site: Site) -> Iterator[Figure]:
    fast = asyncio.run(_append(site, "fast", appends=10_000, batch=1))
    yield Figure("appended one at a time", f"{fast.rate:,.0f} /s", f"{_SUSTAINED:,} /s sustained")
    single = asyncio.run(_append(site, "steady", appends=10_000, batch=1, rate=_SUSTAINED))
    yield Figure(f"p95 of an append at {_SUSTAINED:,} /s", f"{single.p95:.1f} ms", _LATENCY)
    many = asyncio.run(_append(site, "depot", appends=_AGGREGATES, batch=_BATCH))
    yield Figure(f"appended {_BATCH} at a time", f"{many.rate:,.0f} /s", f"{_PEAK:,} /s peak")
    peak = asyncio.run(_append(site, "peak", appends=500, batch=_BATCH, rate=_PEAK))
    yield Figure(f"p95 of such an append at {_PEAK:,} /s", f"{peak.p95:.1f} ms", _LATENCY)
    site.server.psql("\\connect events\nVACUUM ANALYZE events; CHECKPOINT")
    reads = asyncio.run(_read(site))
    yield Figure("p95 of reading an aggregate", f"{reads:.2f} ms", "25 ms (event_store_reads)")
    followed = asyncio.run(_follow(site))
    bar = f"{_SUSTAINED:,} /s sustained"
    yield Figure("followed in batches of 1,000", f"{followed:,.0f} /s", bar)
    with session_of(site) as session:
        session.run("DROP INDEX events_type_timestamp")
        began = time.perf_counter()
        build_indexes(session)
        yield Figure("a lost index built", f"{time.perf_counter() - began:.1f} s", "-")


class _Timed:
    """How long calls took, and how many events a second that was."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.rate = 0.0

    def since(self, began: float) -> None:
        """A call that was to begin then is done."""
        self.milliseconds.append(1000 * (time.perf_counter() - began))

    @property
    def p95(self) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[int(0.95 * (len(ordered) - 1))]


async def _append(
    site: Site, name: str, *, appends: int, batch: int, rate: float | None = None
) -> _Timed:
    """So many appends over all connections: at a rate of events a second, or as fast as they go.

    At a rate they are timed from when they were to begin, so that one that is late is seen.
    """
    timed, numbers = _Timed(), iter(range(appends))
    events = [NewEvent("counted", _PAYLOAD)] * batch

    async def write(store: EventStore) -> None:
        for number in numbers:
            intended = began + number * batch / rate if rate else time.perf_counter()
            await asyncio.sleep(max(0.0, intended - time.perf_counter()))
            aggregate = f"{name}-{number % _AGGREGATES}"
            await store.append(aggregate, number // _AGGREGATES * batch, events)
            timed.since(intended)

    async with AsyncExitStack() as stack:
        opened = [await connect_async(site) for _ in range(_CONNECTIONS)]
        stores = [EventStore(await stack.enter_async_context(one)) for one in opened]
        began = time.perf_counter()
        await asyncio.gather(*map(write, stores))
    timed.rate = appends * batch / (time.perf_counter() - began)
    return timed


async def _read(site: Site) -> float:
    """p95 in milliseconds of reading an aggregate of 100 events, of all that there are."""
    timed, chosen = _Timed(), random.Random(1)
    async with await connect_async(site) as connection:
        store = EventStore(connection)
        for _ in range(_READS):
            began = time.perf_counter()
            await store.read(f"depot-{chosen.randrange(_AGGREGATES)}")
            timed.since(began)
    return timed.p95


async def _follow(site: Site) -> float:
    """Events a second that a follower reads from the beginning."""
    async with await connect_async(site) as connection:
        began, count = time.perf_counter(), 0
        async for _ in EventStore(connection).all_after(BEGINNING):
            count += 1
        return count / (time.perf_counter() - began)


def _portfolios(site: Site) -> Iterator[Figure]:
    site.server.psql(
        "\\connect events\nSET timezone = 'UTC';"
        "INSERT INTO portfolios (user_id, name, initial_value_eur) SELECT number % 1000, 'any',"
        f" number % 5000 FROM generate_series(1, {_PORTFOLIOS}) AS number;"
        "INSERT INTO portfolio_snapshots SELECT id, day::date, 1000 + id % 700 FROM portfolios,"
        " generate_series(current_date - 29, current_date, interval '1 day') AS day;"
        "ANALYZE"
    )
    with session_of(site) as session:
        for what in ("first refresh", "second refresh"):
            done = refresh(session, "mv_portfolio_performance_summary", 30)
            yield Figure(f"{what} of the summary", f"{done.seconds:.2f} s", "30 s")
    p95 = asyncio.run(_summaries(site))
    yield Figure("p95 of a user's summary", f"{p95:.2f} ms", "50 ms (portfolio_queries)")


async def _summaries(site: Site) -> float:
    timed, chosen = _Timed(), random.Random(1)
    query = (
        "SELECT summary.* FROM portfolios AS portfolio JOIN mv_portfolio_performance_summary"
        " AS summary ON portfolio_id = portfolio.id WHERE portfolio.user_id = %s"
    )
    async with await connect_async(site) as connection:
        for _ in range(_READS):
            began = time.perf_counter()
            await (await connection.execute(query, [chosen.randrange(1000)])).fetchall()
            timed.since(began)
    return timed.p95
