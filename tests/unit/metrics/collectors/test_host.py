"""The host, its instances and their health endpoints as the monitor sees them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from stellwerk.host.unit import Activity, Unit
from stellwerk.metrics.collectors.collector import Found, SubjectCollector, Trouble
from stellwerk.metrics.collectors.health import MOST_NUMBERS, HealthCollector, numbers
from stellwerk.metrics.collectors.instances import Instances, service_and_port
from stellwerk.metrics.collectors.system import SystemCollector
from stellwerk.metrics.collectors.units import UnitCollector
from stellwerk.metrics.declarations import service as service_metrics
from stellwerk.metrics.declarations import system as system_metrics
from stellwerk.metrics.declarations import unit as unit_metrics
from stellwerk.metrics.model import Source
from stellwerk.metrics.reading import Reading, State
from tests.unit.instances.programs import free_ports, in_a_loop

from .looks import SECONDS, look, value

SHOP = "shop@8101"
MEGABYTE = 1024**2


class Known(Instances):
    """Instances without systemd."""

    def __init__(self, **units: Unit) -> None:
        super().__init__([])
        self.known = {name.replace("_", "@") + ".service": unit for name, unit in units.items()}
        self.problem: Trouble | None = None

    async def units(self) -> dict[str, Unit]:
        if self.problem is not None:
            raise self.problem
        return self.known


def group(folder: Path, cpu: int = 1_500_000, memory: str = "anon 1048576\nkernel 0\n") -> Unit:
    """A running unit with a control group in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "cpu.stat").write_text(f"usage_usec {cpu}\n")
    (folder / "memory.stat").write_text(memory)
    return Unit(Activity.RUNNING, "1", restarts=2, control_group=f"/{folder.name}")


@in_a_loop
async def test_the_host_is_as_psutil_says() -> None:
    reading = await look(SystemCollector())
    assert reading.state is State.UP, reading.error
    assert value(reading, system_metrics.MEMORY) == pytest.approx(
        psutil.virtual_memory().percent, abs=5
    )
    assert 0 <= (value(reading, system_metrics.CPU) or 0) <= 100
    used = value(reading, system_metrics.FILESYSTEM_USED, mountpoint="/")
    assert used == pytest.approx(psutil.disk_usage("/").percent, abs=5)


@in_a_loop
async def test_devices_that_stand_on_others_do_not_count_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counters:
        read_bytes = write_bytes = bytes_sent = bytes_recv = 1000

    (tmp_path / "block/sda/device").mkdir(parents=True)
    (tmp_path / "class/net/br0/bridge").mkdir(parents=True)
    names = dict.fromkeys(("sda", "dm-0", "loop0", "zram0"), Counters())
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: names)
    interfaces = dict.fromkeys(("eth0", "lo", "br0", "veth12ab", "ifb0"), Counters())
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: interfaces)
    reading = await look(SystemCollector(tmp_path))
    assert value(reading, system_metrics.DISK_READ) == 1000
    assert value(reading, system_metrics.NETWORK_SENT) == 1000


@in_a_loop
async def test_an_instance_has_the_figures_of_its_control_group(tmp_path: Path) -> None:
    instances = Known(shop_8101=group(tmp_path / "one"))
    reading = await look(UnitCollector(instances, {"shop": 4 * MEGABYTE}, tmp_path))
    assert value(reading, unit_metrics.ACTIVE, instance=SHOP) == 1
    assert value(reading, unit_metrics.CPU, instance=SHOP) == 1.5  # seconds
    assert value(reading, unit_metrics.MEMORY, instance=SHOP) == 1
    assert value(reading, unit_metrics.MEMORY_PERCENT, instance=SHOP) == 25
    assert value(reading, unit_metrics.RESTARTS, instance=SHOP) == 2
    assert reading.gaps == ()


@in_a_loop
async def test_an_instance_that_failed_is_not_active_and_one_that_was_stopped_is_not_missed(
    tmp_path: Path,
) -> None:
    instances = Known(shop_8101=Unit(Activity.FAILED), shop_8102=Unit(Activity.INACTIVE))
    reading = await look(UnitCollector(instances, {}, tmp_path))
    assert value(reading, unit_metrics.ACTIVE, instance=SHOP) == 0
    assert value(reading, unit_metrics.CPU, instance=SHOP) is None
    assert {sample.series.label("instance") for sample in reading.samples} == {SHOP}


@in_a_loop
async def test_a_control_group_that_cannot_be_read_is_missing_and_not_zero(tmp_path: Path) -> None:
    instances = Known(shop_8101=Unit(Activity.RUNNING, control_group="/gone"))
    reading = await look(UnitCollector(instances, {}, tmp_path, tmp_path))
    assert value(reading, unit_metrics.MEMORY) is None
    assert [gap.state for gap in reading.gaps] == [State.MISSING]


@in_a_loop
async def test_without_systemd_instances_are_not_known() -> None:
    reading = await look(UnitCollector(Instances(["shop"], "unix:path=/nonexistent"), {}))
    assert reading.state is State.DOWN
    assert "D-Bus cannot be reached" in (reading.error or "")
    assert reading.samples == ()


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """The port of a server that gives these answers on a connection in turn; then it is silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def http(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


async def asked(collector: HealthCollector, seconds: float = SECONDS) -> Reading:
    (reading,) = await collector.look(seconds)
    return reading


def health(*ports: int) -> HealthCollector:
    units = {f"shop_{port}": Unit(Activity.RUNNING) for port in ports}
    return HealthCollector(Known(**units), {"shop": "/health"})


@in_a_loop
async def test_the_numbers_of_a_service_are_its_own_metrics() -> None:
    document = {"metrics": {"queue_lag_ms": 12.5, "sessions": 3, "ok": True, "name": "x"}}
    async with answering(http(200, document)) as port:
        collector = health(port)
        reading = await asked(collector)
        collector.close()
    found = {
        sample.series.metric.key: (sample.value, sample.series.label("instance"))
        for sample in reading.samples
    }
    instance = f"shop@{port}"
    assert reading.state is State.UP
    assert found.pop("service.response_time_ms")[0] > 0
    assert found == {
        "own.queue_lag_ms": (12.5, instance),
        "own.sessions": (3.0, instance),
        "service.availability": (1.0, instance),
    }


@in_a_loop
async def test_the_connection_is_kept_from_look_to_look() -> None:
    async with answering(http(200, {}), http(200, {})) as port:
        collector = health(port)
        for _ in range(2):
            assert (await asked(collector)).state is State.UP
        collector.close()


@in_a_loop
async def test_a_server_that_closes_idle_connections_is_not_down() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(200, {}))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        collector = health(server.sockets[0].getsockname()[1])
        for _ in range(3):
            assert (await asked(collector)).state is State.UP
        collector.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
def test_answers_end_in_all_the_ways_of_http(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if b"1.0" in answer:
            writer.close()
        await reader.read()

    @in_a_loop
    async def ends() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            collector = health(server.sockets[0].getsockname()[1])
            reading = await asked(collector)
            collector.close()
        assert "service.response_time_ms" in {one.series.metric.key for one in reading.samples}

    ends()


@in_a_loop
async def test_one_silent_instance_delays_no_other() -> None:
    async with answering(http(200, {})) as well, answering() as silent:
        collector = health(well, silent)
        start = time.monotonic()
        readings = {one.subject: one for one in await collector.look(0.2)}
        assert time.monotonic() - start < SECONDS
        collector.close()
    assert readings[f"shop@{well}"].state is State.UP
    assert readings[f"shop@{silent}"].state is State.FROZEN
    assert value(readings[f"shop@{silent}"], service_metrics.AVAILABILITY) == 0


@in_a_loop
async def test_an_instance_that_answers_otherwise_is_not_available() -> None:
    async with answering(http(503, {"metrics": {"sessions": 1}})) as port:
        collector = health(port)
        reading = await asked(collector)
        collector.close()
    assert reading.state is State.DOWN
    assert (reading.error or "").endswith("was answered with status 503")
    assert value(reading, service_metrics.AVAILABILITY) == 0
    assert "own.sessions" not in {one.series.metric.key for one in reading.samples}


@in_a_loop
async def test_a_port_where_nobody_listens_is_down() -> None:
    (port,) = free_ports(1)
    reading = await asked(health(port))
    assert reading.state is State.DOWN
    assert value(reading, service_metrics.AVAILABILITY) == 0


@in_a_loop
async def test_an_instance_that_should_run_and_does_not_is_down(tmp_path: Path) -> None:
    units = Known(
        shop_1=Unit(Activity.FAILED, result="exit-code"),
        shop_2=Unit(Activity.STARTING, restarts=3),
        shop_3=Unit(Activity.INACTIVE),
        other_4=Unit(Activity.FAILED),
    )
    (tmp_path / "shop@3.service").symlink_to("/nonexistent")
    collector = HealthCollector(units, {"shop": "/health"}, tmp_path)
    found = {one.subject: one for one in await collector.look(SECONDS)}
    assert {name: one.error for name, one in found.items()} == {
        "shop@1": "shop@1 has failed (exit-code)",
        "shop@2": "shop@2 does not come up again (restart 3)",
        "shop@3": "shop@3 is stopped and should run",
    }
    for one in found.values():
        assert one.state is State.DOWN
        assert value(one, service_metrics.AVAILABILITY, instance=one.subject) == 0


@in_a_loop
async def test_an_instance_that_comes_or_goes_is_neither_up_nor_down(tmp_path: Path) -> None:
    moving = (Activity.STARTING, Activity.STOPPING, Activity.INACTIVE)
    units = Known(**{f"shop_{port}": Unit(one) for port, one in enumerate(moving, 1)})
    assert await HealthCollector(units, {"shop": "/health"}, tmp_path).look(SECONDS) == []


@in_a_loop
async def test_what_is_not_http_is_not_understood() -> None:
    async with answering(b"* OK IMAP4rev1\r\n") as port:
        reading = await asked(health(port))
    assert reading.state is State.UNSUPPORTED
    assert reading.samples == ()


@in_a_loop
async def test_a_service_that_invents_numbers_cannot_fill_the_history() -> None:
    document = {"metrics": {f"number_{one}": one for one in range(MOST_NUMBERS + 10)}}
    async with answering(http(200, document)) as port:
        collector = health(port)
        reading = await asked(collector)
        collector.close()
    own = [one for one in reading.samples if one.series.metric.source is Source.OWN]
    assert len(own) == MOST_NUMBERS
    assert len(reading.gaps) == 1


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"\xff", b'{"metrics": 1}', b'{"metrics": {"x": NaN}}'),
        b'{"metrics": {"x": 1%b}}' % (b"0" * 400),
        b'{"metrics": {"x": -Infinity}}',
        b"[" * 100_000,
    ],
)
def test_an_answer_without_numbers_has_none(body: bytes) -> None:
    assert numbers(body) == []


@in_a_loop
async def test_without_systemd_no_endpoint_is_asked() -> None:
    instances = Known(shop_8101=Unit(Activity.RUNNING))
    instances.problem = Trouble(State.DOWN, "systemd cannot be asked")
    assert await HealthCollector(instances, {"shop": "/health"}).look(SECONDS) == ()


class Broken(SubjectCollector):
    async def collect(self) -> Found:
        raise KeyError("something nobody thought of")


@in_a_loop
async def test_a_mistake_in_one_source_is_a_state_of_that_source() -> None:
    reading = await look(Broken(Source.MONITOR, "broken"))
    assert reading.state is State.UNSUPPORTED
    assert "something nobody thought of" in (reading.error or "")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("shop@8101.service", ("shop", 8101)),
        ("shop.service", None),
        ("getty@tty1.service", None),
        ("shop@.service", None),
    ],
)
def test_instances_are_known_by_their_ports(unit: str, expected: tuple[str, int] | None) -> None:
    assert service_and_port(unit) == expected
