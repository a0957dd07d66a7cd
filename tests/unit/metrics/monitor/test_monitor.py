"""The monitor: what it collects, keeps and tells, and what one bad source means for the others."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.collectors.collector import Collector, Found, Samples, SubjectCollector
from stellwerk.metrics.declarations import auto_scaling
from stellwerk.metrics.declarations import monitor as own_metrics
from stellwerk.metrics.declarations import redis as redis_metrics
from stellwerk.metrics.declarations import system as system_metrics
from stellwerk.metrics.history.reader import history
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Metric, Source
from stellwerk.metrics.monitor import plain
from stellwerk.metrics.monitor.api import Api
from stellwerk.metrics.monitor.collection import Collection, ticks
from stellwerk.metrics.monitor.daemon import Monitor
from stellwerk.metrics.monitor.http_server import Request
from stellwerk.metrics.monitor.sources import collectors
from stellwerk.metrics.reading import Reading, State
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.process import Reports
from stellwerk.settings import Settings
from stellwerk.settings.cluster import load_cluster
from stellwerk.settings.files import HostFile, Member, host_document
from tests.unit.instances.programs import free_ports, in_a_loop

HOST = "db-1"
REPOSITORY = Path(__file__).parents[4]
SECONDS = 20.0


class Steady(SubjectCollector):
    """A source with one value, which grows by 10 at each look."""

    def __init__(self, metric: Metric = system_metrics.LOAD) -> None:
        super().__init__(Source.SYSTEM, "steady")
        self.total = 0.0
        self._metric = metric
        self._samples = Samples()

    async def collect(self) -> Found:
        self.total += 10
        return Found(self._samples.of(((self._metric, self.total),)))


class Silent(SubjectCollector):
    """A source that never answers."""

    def __init__(self) -> None:
        series = redis_metrics.AVAILABILITY.series(port="6379")
        super().__init__(Source.REDIS, "silent", series)

    async def collect(self) -> Found:
        await asyncio.Event().wait()
        return Found()


class Stubborn(Silent):
    """A source that does not even let itself be ended in time."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def look(self, seconds: float) -> Sequence[Reading]:  # noqa: ARG002
        await self.released.wait()
        return ()


def monitor(folder: Path, *given: Collector, seconds: float = 0.05) -> Monitor:
    settings = Settings()
    alerting = Alerting(HOST, settings, Registry(settings), folder)
    opened = partial(HistoryWriter, folder / "history", keep_days=7, most_bytes=10**9)
    return Monitor(given, 0.02, seconds, opened, alerting)


async def until(holds: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


async def run(found: Monitor, holds: Any) -> None:
    """Collect until something holds."""
    task = asyncio.ensure_future(found.run())
    try:
        await until(lambda: task.done() or holds())
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled(), task.exception()


def services(found: Monitor) -> set[str]:
    return {one.series.service for one in found.latest.values()}


def known(found: Monitor, metric: Metric) -> dict[str, float]:
    return {one.series.subject: one.value for one in found.latest.values() if
            one.series.metric is metric}  # fmt: skip


@in_a_loop
async def test_a_silent_source_is_said_to_be_and_the_others_go_on(tmp_path: Path) -> None:
    steady = Steady()
    found = monitor(tmp_path, steady, Silent())
    await run(found, lambda: steady.total >= 30)
    states = {one.subject: one.state for one in found.latest.readings}
    assert states["steady"] is State.UP
    assert states["silent"] is State.FROZEN
    assert known(found, redis_metrics.AVAILABILITY) == {"6379": 0}
    assert known(found, own_metrics.READABLE) == {"system steady": 1, "redis silent": 0}


@in_a_loop
async def test_what_is_found_is_known_before_a_silent_source_is_given_up() -> None:
    taken: list[str] = []
    collection = Collection([Silent(), Steady()], 60, lambda name, _: taken.append(name))
    task = asyncio.ensure_future(collection.collect())
    await until(lambda: taken == ["steady"])
    assert not task.done()
    task.cancel()
    await collection.close()


@in_a_loop
async def test_a_source_that_cannot_even_be_ended_is_left_alone_until_it_is_back() -> None:
    taken: list[str] = []
    stubborn = Stubborn()
    collection = Collection([stubborn, Steady()], 0.01, lambda name, _: taken.append(name))
    await collection.collect()
    await collection.collect()
    assert taken == ["steady", "steady"]
    stubborn.released.set()
    await collection.collect()
    assert sorted(taken) == ["silent", "steady", "steady", "steady"]
    await collection.close()


class Faulty(Silent):
    """A source with a mistake where nobody expects one."""

    async def look(self, seconds: float) -> Sequence[Reading]:
        raise RuntimeError(f"a mistake after {seconds} s")


@in_a_loop
async def test_a_fault_of_one_collector_ends_no_collection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[str] = []
    collection = Collection([Faulty(), Steady()], 1, lambda name, _: taken.append(name))
    await collection.collect()
    assert taken == ["steady"]
    assert caplog.messages == ["silent cannot be read; the others go on"]


@in_a_loop
async def test_collections_come_at_their_times_though_one_took_longer() -> None:
    clock = iter([0.0, 15.0, 15.0, 45.0, 45.0])  # at the start, then twice before each tick
    found = 0
    async for _ in ticks(15, lambda: next(clock)):
        found += 1
        if found == 3:
            break
    assert not list(clock)


@in_a_loop
async def test_counters_are_kept_as_rates_and_the_first_look_yields_none(tmp_path: Path) -> None:
    steady = Steady(system_metrics.DISK_READ)
    found = monitor(tmp_path, steady)
    await run(found, lambda: steady.total >= 30)
    (rate,) = known(found, system_metrics.DISK_READ).values()
    assert rate > 0
    with history(tmp_path / "history", 0, 2**33) as kept:
        points = kept.points(system_metrics.DISK_READ.series().key)
    assert 1 <= len(points.times) < steady.total / 10


@in_a_loop
async def test_the_history_has_every_collection(tmp_path: Path) -> None:
    steady = Steady()
    await run(monitor(tmp_path, steady), lambda: steady.total >= 50)
    with history(tmp_path / "history", 0, 2**33) as kept:
        values = list(kept.points(system_metrics.LOAD.series().key).values)
    assert values[:4] == [10, 20, 30, 40]


@in_a_loop
async def test_a_history_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "history").write_text("a file in place of the folder")
    steady = Steady()
    await run(monitor(tmp_path, steady), lambda: steady.total >= 50)
    assert len([one for one in caplog.messages if "history" in one]) == 1


def api_of(
    found: Monitor,
    is_late: Callable[[], bool],
    folder: Path = Path(),
    settings: Settings | None = None,
    groups: tuple[str, ...] = (),
) -> Api:
    settings = settings or Settings()
    host = HostFile(HOST, (Member(HOST, "127.0.0.1", groups),), settings)
    reports = Reports(host, folder / "history")
    return Api(HOST, ["shop"], found.latest, Registry(settings), is_late, found._alerting, reports)


async def asked(found: Monitor, path: str, method: str = "GET") -> tuple[int, Any]:
    answer = await api_of(found, found.is_late).answer(Request(path, method=method))
    return answer.status, json.loads(answer.body)


@in_a_loop
async def test_the_api_says_how_values_stand_to_their_thresholds(tmp_path: Path) -> None:
    steady = Steady(system_metrics.CPU)
    found = monitor(tmp_path, steady)
    await run(found, lambda: steady.total >= 90)
    status, document = await asked(found, "/api/metrics/service/system")
    (metric,) = document["metrics"]
    assert status == 200
    assert document["host"] == HOST
    assert {name: metric[name] for name in ("name", "unit", "baseline", "warning", "critical")} == {
        "name": "system.cpu_percent",
        "unit": "%",
        "baseline": 40,
        "warning": 80,
        "critical": 95,
    }
    assert metric["value"] >= 90
    assert metric["status"] != "ok"
    assert metric["deviation_percent"] == 100 * (metric["value"] - 40) / 40


@in_a_loop
async def test_the_api_says_what_there_is(tmp_path: Path) -> None:
    found = monitor(tmp_path, Steady())
    await run(found, lambda: any(found.latest.values("system")))
    assert (await asked(found, "/api/metrics/service/shop"))[0] == 200
    status, document = await asked(found, "/api/metrics/service/shpo")
    assert (status, "system" in document["error"]) == (404, True)
    assert (await asked(found, "/nothing"))[0] == 404
    assert (await asked(found, "/health", "POST"))[0] == 405
    assert (await asked(found, "/api/alerts"))[0] == 200


@in_a_loop
async def test_a_monitor_that_no_longer_collects_is_not_healthy(tmp_path: Path) -> None:
    found = monitor(tmp_path, Steady())
    assert (await asked(found, "/health"))[0] == 200
    await until(found.is_late)
    status, document = await asked(found, "/health")
    assert (status, document["status"]) == (503, "late")


@in_a_loop
async def test_prometheus_gets_totals_and_nothing_once_collections_no_longer_come(
    tmp_path: Path,
) -> None:
    steady = Steady(system_metrics.DISK_READ)
    found = monitor(tmp_path, steady)
    await run(found, lambda: steady.total >= 30)
    answer = await api_of(found, lambda: False).answer(Request("/metrics"))
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, "text/plain")
    line = f'stellwerk_system_disk_read_bytes_total{{service="system"}} {steady.total}'
    assert line in answer.body.decode().splitlines()
    assert (await api_of(found, lambda: True).answer(Request("/metrics"))).status == 503


@in_a_loop
@pytest.mark.parametrize("wanted", [True, False])
async def test_prometheus_gets_the_scalers_metrics_where_the_settings_want_it(
    tmp_path: Path, wanted: bool
) -> None:
    class Scaler(SubjectCollector):
        async def collect(self) -> Found:
            return Found(Samples().of(((auto_scaling.ACTIVE, 4),)))

    found = monitor(tmp_path, Scaler(Source.AUTO_SCALING, "scaler"), Steady())
    await run(found, lambda: {"system", "auto_scaling"} <= services(found))
    export = {"prometheus": {"enabled": wanted}}
    settings = Settings.model_validate({"scaling": {"export": export}})
    answer = await api_of(found, lambda: False, settings=settings).answer(Request("/metrics"))
    names = {line.partition("{")[0] for line in answer.body.decode().splitlines()}
    assert "stellwerk_system_load_average" in names
    assert ("stellwerk_auto_scaling_active_instances_total_value" in names) is wanted


@in_a_loop
async def test_a_report_is_built_from_the_history_beside_the_collections(tmp_path: Path) -> None:
    steady = Steady(system_metrics.CPU)
    found = monitor(tmp_path, steady)
    await run(found, lambda: steady.total >= 30)
    api = api_of(found, found.is_late, tmp_path)
    answer = await api.answer(Request("/api/report", {"period": "1h", "service": "system"}))
    assert answer.status == 200
    (line,) = json.loads(answer.body)["services"]["system"]
    assert (line["metric"], line["minimum"], line["baseline"]) == ("system.cpu_percent", 10, 40)


@in_a_loop
async def test_a_report_is_a_page_for_browsers_and_the_first_they_are_led_to(
    tmp_path: Path,
) -> None:
    steady = Steady(system_metrics.CPU)
    found = monitor(tmp_path, steady)
    await run(found, lambda: steady.total >= 30)
    api = api_of(found, found.is_late, tmp_path)
    first = await api.answer(Request("/"))
    assert (first.status, first.location) == (302, "/report")
    answer = await api.answer(Request(first.location, {"period": "1h"}))
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert text.startswith("<!doctype html>")
    assert f"<h1>{HOST}: 1h until " in text
    assert '<th scope="rowgroup" colspan="12">system</th>' in text
    assert 'href="?period=7d&amp;all=0"' in text


@in_a_loop
async def test_only_a_monitor_that_knows_the_cluster_reports_on_it(tmp_path: Path) -> None:
    found = monitor(tmp_path, Steady())
    knowing = api_of(found, found.is_late, tmp_path, groups=("monitors",))
    assert (await knowing.answer(Request("/"))).location == "/report?period=24h&all=0&cluster=1"
    other = api_of(found, found.is_late, tmp_path)
    answer = await other.answer(Request("/api/report", {"cluster": "1"}))
    assert answer.status == 400
    assert "a host in monitors knows all" in json.loads(answer.body)["error"]


@in_a_loop
async def test_a_report_that_cannot_be_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "current.sqlite").mkdir()
    api = api_of(monitor(tmp_path), lambda: False, tmp_path)
    unknown = await api.answer(Request("/api/report", {"period": "1y"}))
    assert (unknown.status, b"expected one of 1h, 24h, 7d" in unknown.body) == (400, True)
    for path in ("/api/report", "/report"):
        unreadable = await api.answer(Request(path))
        assert unreadable.status == 503
        assert "current" in json.loads(unreadable.body)["error"]


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """What a deploy writes for the database host of the shipped cluster."""
    shutil.copy(REPOSITORY / "inventory", tmp_path / "inventory")
    (port,) = free_ports(1)
    given = {"monitoring.port": str(port), "monitoring.interval_seconds": "1"}
    cluster = load_cluster(tmp_path / "inventory", [REPOSITORY / "group_data"], given)
    document = host_document(cluster, cluster.hosts[HOST])
    document["members"][HOST]["address"] = "127.0.0.1"
    path = tmp_path / "monitor.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_plain_settings_are_those_that_were_validated(
    settings_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "redis.passwords.monitor").write_text("a-secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    host = plain.load(settings_file)
    assert host.name == HOST
    assert host.settings.monitoring.interval_seconds == 1
    assert host.settings.services["aktienanalyse-core"].memory == 512 * 1024**2
    assert host.settings.redis.passwords.monitor.get_secret_value() == "a-secret"
    assert not host.settings.redis.passwords.admin.given
    assert "a-secret" not in repr(host)


def test_settings_that_are_not_valid_are_named(tmp_path: Path) -> None:
    with pytest.raises(plain.SettingsUnreadableError, match=r"missing\.yaml"):
        plain.load(tmp_path / "missing.yaml")


def test_a_host_is_asked_for_what_its_groups_put_on_it(settings_file: Path) -> None:
    found = {one.name for one in collectors(plain.load(settings_file))}
    assert found == {"host", "PostgreSQL", "PostgreSQL's sizes", "Sentinel", "scaler"}


@pytest.mark.programs
def test_the_daemon_says_that_it_is_ready_answers_and_ends(
    settings_file: Path, tmp_path: Path
) -> None:
    port = yaml.safe_load(settings_file.read_text())["settings"]["monitoring"]["port"]
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.settimeout(SECONDS)
    notified.bind(str(tmp_path / "notify"))
    command = [sys.executable, "-m", "stellwerk.metrics.monitor", str(settings_file), str(tmp_path)]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert b"READY=1" in notified.recv(4096)
            maps = Path(f"/proc/{daemon.pid}/maps").read_text()
            url = f"http://127.0.0.1:{port}/api/metrics/service/system"
            with urllib.request.urlopen(url, timeout=SECONDS) as answer:
                document = json.load(answer)
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.stderr is not None
            said = daemon.stderr.read()
    notified.close()
    assert daemon.returncode == 0, said
    assert "Traceback" not in said
    assert "system.memory_percent" in {one["name"] for one in document["metrics"]}
    assert "pydantic" not in maps  # it would be a third of its memory
