"""What a full collection of the monitor costs, beside Debian's exporters looking at the same."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import yaml

from stellwerk.settings.cluster import load_cluster
from stellwerk.settings.files import host_document
from tests.bench.monitor_instances import INSTANCES
from tests.bench.monitor_process import PASSWORD, ROLE, SETTINGS
from tests.bench.table import Figure, show
from tests.unit.database.postgres_server import Server, find_binaries, running
from tests.unit.instances.programs import free_ports, is_open, wait_until
from tests.unit.metrics.collectors.test_redis import redis

ROUNDS = 3
COLLECTIONS = 100
# Between two collections or scrapes. The bar was measured of the exporters at the first. After a
# longer rest all cost more, as the processor's caches then hold something else.
PAUSES_SECONDS = (0.01, 0.05)
TABLES = 200
STATEMENTS = 1200
REPOSITORY = Path(__file__).parents[2]
EXPORTERS = ("node", "postgres", "redis")
# The seven of node_exporter that say what the monitor says of a host.
NODE_COLLECTORS = ("cpu", "meminfo", "diskstats", "netdev", "loadavg", "filesystem", "stat")


def main() -> None:
    """Measure on this machine, all on loopback."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mon-")))
        binaries = find_binaries()
        assert binaries is not None, "PostgreSQL is not installed here"
        server = stack.enter_context(running(binaries))
        _fill(server)
        first_port, *_ = free_ports(INSTANCES)
        (port,) = free_ports(1)
        stack.enter_context(redis(port))
        stack.enter_context(_instances(folder, first_port))
        _settings(folder)
        exporters = list(_exporters(stack, folder, server, port))
        for pause in PAUSES_SECONDS:
            figures = [
                *_monitor(folder, server, port, pause),
                *_scrapes(exporters, pause),
            ]
            what = f"{TABLES} tables, {INSTANCES} instances, every {1000 * pause:.0f} ms"
            show(f"a full collection: {what}", figures)


def _fill(server: Server) -> None:
    tables = "".join(
        f"CREATE TABLE t{number} AS SELECT generate_series(1, 1000) AS x;"
        for number in range(TABLES)
    )
    server.psql(
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor;"
        f"CREATE EXTENSION pg_stat_statements; {tables}"
        "CREATE TABLE view_refreshes AS SELECT 'view' AS view, 1.5 AS seconds, 0 AS failures,"
        f" now() AS refreshed_at; GRANT SELECT ON view_refreshes TO {ROLE}"
    )
    server.psql("".join(f"SELECT {', '.join(['1'] * count)};" for count in range(1, STATEMENTS)))


def _settings(folder: Path) -> None:
    """What a deploy of the shipped cluster writes."""
    shutil.copy(REPOSITORY / "inventory", folder / "inventory")
    cluster = load_cluster(folder / "inventory", [REPOSITORY / "group_data"], {})
    document = host_document(cluster, cluster.group("databases")[0])
    (folder / SETTINGS).write_text(yaml.safe_dump(document))


@contextmanager
def _instances(folder: Path, first_port: int) -> Iterator[None]:
    module = [sys.executable, "-m", "tests.bench.monitor_instances"]
    command = [*module, str(folder), str(first_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


def _monitor(folder: Path, server: Server, port: int, pause: float) -> Iterator[Figure]:
    module = [sys.executable, "-m", "tests.bench.monitor_process"]
    given = [str(folder), str(server.data.parent), str(port), str(COLLECTIONS), str(pause)]
    rounds = []
    for _ in range(ROUNDS):
        ran = subprocess.run(
            [*module, *given], stdout=subprocess.PIPE, text=True, check=True, cwd=REPOSITORY
        )
        rounds.append(tuple(map(float, ran.stdout.split())))
    collections, pages, memory, series = zip(*rounds, strict=True)
    yield Figure(
        f"monitor: CPU per collection ({series[0]:.0f} series, alerts, history)",
        f"{median(collections):.2f} ms",
        "at most 4 ms",
    )
    yield Figure("monitor: RSS", f"{max(memory):.1f} MB", "at most 50 MB")
    yield Figure("monitor: CPU of a page for Prometheus", f"{median(pages):.2f} ms", "-")


def _exporters(
    stack: ExitStack, folder: Path, server: Server, port: int
) -> Iterator[tuple[str, int, int]]:
    """Those of Debian's packages, unpacked and not installed: name, process and port of each."""
    names = [f"prometheus-{name}-exporter" for name in EXPORTERS]
    got = subprocess.run(
        ["apt-get", "download", "-q", *names], cwd=folder, capture_output=True, check=False
    )
    if got.returncode:
        print("Debian's exporters: apt has them not")
        return
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder / "debian")], check=True)
    sockets = str(server.data.parent)
    source = f"user={ROLE} password={PASSWORD} host={sockets} dbname=postgres sslmode=disable"
    only = [f"--collector.{name}" for name in NODE_COLLECTORS]
    commands: Mapping[str, tuple[list[str], Mapping[str, str]]] = {
        "node": (["--collector.disable-defaults", *only], {}),
        "postgres": ([], {"DATA_SOURCE_NAME": source}),
        "redis": ([f"-redis.addr=redis://127.0.0.1:{port}"], {}),
    }
    for name, (arguments, environment) in commands.items():
        (listen,) = free_ports(1)
        address = f"{'-' if name == 'redis' else '--'}web.listen-address=127.0.0.1:{listen}"
        program = folder / "debian" / "usr" / "bin" / f"prometheus-{name}-exporter"
        process = stack.enter_context(
            _running([str(program), address, *arguments], environment, listen)
        )
        yield name, process.pid, listen


def _scrapes(exporters: Iterable[tuple[str, int, int]], pause: float) -> Iterator[Figure]:
    total_cpu = total_memory = 0.0
    for name, pid, port in exporters:
        cpu, memory = _scraped(pid, port, pause)
        total_cpu, total_memory = total_cpu + cpu, total_memory + memory
        yield Figure(f"{name} exporter: CPU, RSS", f"{cpu:.2f} ms, {memory:.1f} MB", "-")
    yield Figure("the three together", f"{total_cpu:.2f} ms, {total_memory:.1f} MB", "-")


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str], port: int
) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: is_open(port), command[0])
            yield process
        finally:
            process.terminate()


def _scraped(pid: int, port: int, pause: float) -> tuple[float, float]:
    for _ in range(5):
        _scrape(port)
    before = _cpu_seconds(pid)
    for _ in range(COLLECTIONS):
        _scrape(port)
        time.sleep(pause)
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return 1000 * (_cpu_seconds(pid) - before) / COLLECTIONS, resident


def _scrape(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        answer.read()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
