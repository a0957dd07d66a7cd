"""The monitor's collections in a process of their own, as its memory and CPU time are measured:
`python -m tests.bench.monitor_process FOLDER POSTGRESQL_SOCKETS REDIS_PORT COLLECTIONS PAUSE`.

It prints the CPU times of a collection and of a page for Prometheus in milliseconds, the resident
memory in megabytes, and how many series there are.
"""

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.collectors.collector import Collector
from stellwerk.metrics.collectors.health import HealthCollector
from stellwerk.metrics.collectors.instances import Instances
from stellwerk.metrics.collectors.postgresql import (
    Access,
    PostgresqlCollector,
    PostgresqlSizesCollector,
    Slow,
)
from stellwerk.metrics.collectors.postgresql_views import ViewRefreshes
from stellwerk.metrics.collectors.redis import RedisCollector
from stellwerk.metrics.collectors.redis_connection import RedisAccess
from stellwerk.metrics.collectors.system import SystemCollector
from stellwerk.metrics.collectors.units import UnitCollector
from stellwerk.metrics.exposition import Exposition
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.monitor import garbage, plain
from stellwerk.metrics.monitor.daemon import Monitor, resident_bytes
from stellwerk.metrics.reading import State
from stellwerk.metrics.registry import Registry

WARM_UP = 5
SETTINGS = "monitor.yaml"
ROLE, PASSWORD = "watcher", "watched-by-the-bench"


async def main(folder: Path, sockets: str, redis_port: int, collections: int, pause: float) -> None:
    """Collect so often, all sources at once."""
    settings = plain.load(folder / SETTINGS).settings
    instances = Instances(["shop"], (folder / "address").read_text())
    access = Access(sockets, 5432, "postgres", ROLE, PASSWORD)
    collectors: list[Collector] = [
        SystemCollector(),
        UnitCollector(instances, {"shop": 10**8}, folder / "groups"),
        HealthCollector(instances, {"shop": "/health"}),
        PostgresqlCollector(access, 2, Slow(), ViewRefreshes("public", {"view": 300})),
        PostgresqlSizesCollector(access, 2, 300),
        RedisCollector(RedisAccess(redis_port)),
    ]
    opened = partial(HistoryWriter, folder / "history", keep_days=7, most_bytes=10**9)
    alerting = Alerting("bench", settings, Registry(settings), folder)
    found = Monitor(collectors, 15, 2, opened, alerting)
    garbage.look_seldom()
    for _ in range(WARM_UP):
        await found.collect()
        await asyncio.sleep(pause)
    before = time.process_time()
    for _ in range(collections):
        await found.collect()
        await asyncio.sleep(pause)
    milliseconds = 1000 * (time.process_time() - before) / collections
    exposition, before = Exposition(), time.process_time()
    for _ in range(collections):
        exposition.page(found.latest.readings, found.latest.totals)
        await asyncio.sleep(pause)
    page = 1000 * (time.process_time() - before) / collections
    readings = list(found.latest.readings)
    assert all(one.state is State.UP for one in readings), readings
    series = sum(len(one.samples) for one in readings)
    print(milliseconds, page, resident_bytes() / 1024**2, series)
    for collector in collectors:
        collector.close()


if __name__ == "__main__":
    folder, sockets, *numbers = sys.argv[1:]
    redis_port, collections = map(int, numbers[:2])
    asyncio.run(main(Path(folder), sockets, redis_port, collections, float(numbers[2])))
