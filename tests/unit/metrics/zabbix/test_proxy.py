"""Claims that a real Zabbix proxy of Debian's package settles."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stellwerk.metrics.declarations import postgresql, redis, system, unit
from stellwerk.metrics.model import Series
from stellwerk.metrics.registry import metric
from stellwerk.metrics.zabbix import items
from stellwerk.metrics.zabbix.export import ZabbixExporter
from stellwerk.settings.scaling import ZabbixExport
from tests.debian import Programs, programs
from tests.lab.waiting import wait_until
from tests.unit.metrics.zabbix.zabbix_proxy import Proxy, running

pytestmark = pytest.mark.programs

VALUES: dict[Series, float] = {
    system.CPU.series(): 12.5,
    redis.MEMORY.series(port="6379"): 0.001,
    unit.CPU.series("shop", instance="shop@8501"): 1e-9,
    postgresql.TABLE_SIZE.series(database="shop", table='odd ],"name'): 123456789012,
    metric("own.queue_lag_ms").series("shop", instance="shop@8501"): -7,
}
UNKNOWN = system.MEMORY.series()
HOST = "db-1"
AT = 1_750_000_000.25


@pytest.fixture(scope="module")
def zabbix(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    found = programs("zabbix-proxy-sqlite3", tmp_path_factory.mktemp("packages"))
    if found is None:
        pytest.skip("needs the package zabbix-proxy-sqlite3 from a Debian mirror")
    return found


@pytest.fixture
def proxy(zabbix: Programs, tmp_path: Path) -> Iterator[Proxy]:
    numbers = [items.item_key(series) for series in VALUES]
    discoveries = [about.discovery_key for about in items.discoveries(VALUES)]
    with running(zabbix, tmp_path, HOST, numbers, discoveries) as started:
        yield started


def test_a_zabbix_proxy_takes_every_value_and_which_series_there_are(proxy: Proxy) -> None:
    exporter = ZabbixExporter(HOST, ZabbixExport(server="127.0.0.1", port=proxy.port))
    exporter.observe([*VALUES.items(), (UNKNOWN, 1.0)], AT)
    answer = asyncio.run(exporter.send())
    discoveries = items.discoveries(VALUES)
    assert answer.processed == len(VALUES) + len(discoveries)
    assert answer.failed == 1  # the proxy has no such item, and takes the others all the same
    assert wait_until(lambda: len(proxy.values()) == answer.processed, seconds=30)
    held = proxy.values()
    for series, value in VALUES.items():
        (taken,) = held[items.item_key(series)]
        assert float(taken) == pytest.approx(value)
    for about, rows in discoveries.items():
        assert json.loads(held[about.discovery_key][0]) == json.loads(rows)
