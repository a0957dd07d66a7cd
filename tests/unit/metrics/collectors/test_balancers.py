"""HAProxy and nginx as the monitor sees them: judged by the real programs under a known load."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploys.components import nginx as component
from stellwerk.instances.agent.runtime_api import BRIDGE_VARIABLE
from stellwerk.metrics.collectors.collector import Collector
from stellwerk.metrics.collectors.haproxy import HaproxyCollector
from stellwerk.metrics.collectors.haproxy_log import RING
from stellwerk.metrics.collectors.nginx import NginxCollector
from stellwerk.metrics.collectors.requests import Requests
from stellwerk.metrics.declarations import haproxy as haproxy_metrics
from stellwerk.metrics.declarations import nginx as nginx_metrics
from stellwerk.metrics.model import Metric
from stellwerk.metrics.reading import Reading, State
from stellwerk.settings.cluster import load_cluster
from tests.unit.instances.programs import (
    Behaviour,
    HaproxyProcess,
    NginxProcess,
    find,
    free_ports,
    haproxy,
    in_a_loop,
    instance,
    load,
    nginx,
)

from .looks import SECONDS, frozen, look, value, within

SERVICE, BACKEND = "aktienanalyse-frontend", "aktienanalyse_frontend_upstream"
REPOSITORY = Path(__file__).parents[4]

pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def balancer() -> Iterator[tuple[HaproxyProcess, int, int]]:
    """HAProxy, the port it listens on, and that of the only server of its backend."""
    if find("haproxy") is None:
        pytest.skip("haproxy is not installed")
    port, server = free_ports(2)
    text = f"""
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
ring {RING}
    format raw
    size 65536
defaults
    mode http
    log ring@{RING} local0 info
    option httplog
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout queue 5s
frontend front
    bind :{port}
    default_backend {BACKEND}
backend {BACKEND}
    server one 127.0.0.1:{server} maxconn 1
"""
    with haproxy(text) as process:
        yield process, port, server


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NginxProcess, int]]:
    """nginx as deployed, and the port of the only server of its upstream."""
    if find("nginx") is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "inventory", folder / "inventory")
    cluster = load_cluster(folder / "inventory", [REPOSITORY / "group_data"], {})
    deployed, *_ = component.configs(cluster, cluster.group("balancers")[0])
    (server,) = free_ports(1)
    with nginx(deployed.files[0].content, {BACKEND: f"server 127.0.0.1:{server};"}) as process:
        yield process, server


def at_haproxy(process: HaproxyProcess) -> HaproxyCollector:
    services = {BACKEND: SERVICE}
    return HaproxyCollector(process.socket, services, Requests(services, {SERVICE: ["GET /work"]}))


def at_nginx(process: NginxProcess, *endpoints: str) -> NginxCollector:
    services = {BACKEND: SERVICE}
    requests = Requests(services, {SERVICE: endpoints})
    return NginxCollector(process.status_port, process.access_log, services, requests)


async def until(collector: Collector, holds: Callable[[Reading], bool]) -> Reading:
    """Look until something holds: programs say what they did a moment later."""
    async with asyncio.timeout(SECONDS):
        while not holds(reading := await look(collector)):
            await asyncio.sleep(0.01)
    return reading


async def requested(port: int, count: int) -> int:
    """Have one client ask until it has so many answers at least; how many it got."""
    async with load(port, 1) as seen:
        while sum(seen.statuses.values()) < count:
            await asyncio.sleep(0.001)
    return sum(seen.statuses.values())


@in_a_loop
async def test_requests_and_errors_of_haproxy_are_those_that_were_sent(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    process, port, server = balancer
    collector = at_haproxy(process)
    before = await look(collector)
    async with instance(server) as behaviour:
        well = await requested(port, 30)
        behaviour.status = 500
        badly = await requested(port, 10)
        behaviour.hangs_up = True
        badly += await requested(port, 1)  # answered by HAProxy in its place
    after = await look(collector)
    assert after.state is State.UP, after.error

    def fresh(metric: Metric) -> float:
        found = value(after, metric, backend=BACKEND)
        return (found or 0) - (value(before, metric, backend=BACKEND) or 0)

    assert fresh(haproxy_metrics.REQUESTS) == well + badly
    assert fresh(haproxy_metrics.ERRORS) == badly
    share = pytest.approx(100 * badly / (well + badly))
    assert value(after, haproxy_metrics.ERROR_RATE) == share
    assert value(after, haproxy_metrics.SERVERS_UP) == 1
    assert {sample.series.service for sample in after.samples} == {SERVICE, "haproxy"}


@in_a_loop
async def test_requests_that_wait_are_haproxys_queue(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    process, port, server = balancer
    async with instance(server, Behaviour(seconds=0.5)), load(port, 4):
        await until(at_haproxy(process), lambda found: value(found, haproxy_metrics.QUEUE) == 3)


@in_a_loop
async def test_a_time_without_requests_has_no_error_rate_and_no_response_time(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    collector = at_haproxy(balancer[0])
    await look(collector)
    reading = await look(collector)
    assert value(reading, haproxy_metrics.ERROR_RATE) is None
    assert value(reading, haproxy_metrics.RESPONSE_TIME) is None


@in_a_loop
async def test_requests_are_counted_once_with_the_time_that_their_server_took(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    process, port, server = balancer
    collector = at_haproxy(process)
    await look(collector)
    for seconds in (0.1, 0.2):
        async with instance(server, Behaviour(seconds=seconds)):
            total = await requested(port, 3)
        reading = await look(collector)
        counts = {one.series.label("endpoint"): one.durations.count for one in reading.observed}
        assert counts == {None: total, "GET /work": total}
        quantile = reading.observed[0].durations.quantile(0.5)
        assert quantile == pytest.approx(seconds, abs=0.05)
    assert (await look(collector)).observed == ()


@in_a_loop
async def test_what_was_there_before_the_first_look_is_not_counted(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    process, port, server = balancer
    async with instance(server):
        await requested(port, 3)
    assert (await look(at_haproxy(process))).observed == ()


@pytest.mark.parametrize(
    ("line", "gaps"),
    [("", [State.MISSING]), (f"setenv {BRIDGE_VARIABLE} 1", [State.DOWN, State.MISSING])],
)
@in_a_loop
async def test_an_haproxy_without_the_ring_or_instead_of_its_unit_has_a_gap_and_all_else(
    line: str, gaps: list[State]
) -> None:
    if find("haproxy") is None:
        pytest.skip("haproxy is not installed")
    (port,) = free_ports(1)
    text = f"""
global
    {line}
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend front
    bind :{port}
    default_backend {BACKEND}
backend {BACKEND}
    server one 127.0.0.1:1
"""
    with haproxy(text) as process:
        reading = await look(at_haproxy(process))
    assert reading.state is State.UP
    assert [gap.state for gap in reading.gaps] == gaps
    assert value(reading, haproxy_metrics.QUEUE) == 0


@in_a_loop
async def test_a_frozen_haproxy_costs_a_look_its_time_and_no_more(
    balancer: tuple[HaproxyProcess, int, int],
) -> None:
    process, *_ = balancer
    collector = at_haproxy(process)
    with frozen(process.process.pid):
        reading = await within(0.2, collector)
        assert reading.state is State.FROZEN
        assert value(reading, haproxy_metrics.AVAILABILITY) == 0
    assert (await look(collector)).state is State.UP


@in_a_loop
async def test_where_there_is_no_haproxy_it_is_down(tmp_path: Path) -> None:
    reading = await look(HaproxyCollector(tmp_path / "admin.sock", {}, Requests({}, {})))
    assert reading.state is State.DOWN
    assert "No such file" in (reading.error or "")


@in_a_loop
async def test_requests_and_errors_of_nginx_are_those_that_were_sent(
    door: tuple[NginxProcess, int],
) -> None:
    process, server = door
    collector = at_nginx(process, "GET /work", "GET /other")
    async with instance(server) as behaviour:
        well = await requested(process.port, 30)
        behaviour.status = 500
        badly = await requested(process.port, 10)
    total = well + badly
    reading = await until(collector, lambda found: bool(found.observed))
    counted = sum(one.durations.count for one in reading.observed if not one.series.labels)
    while counted < total:  # nginx logs a request after its answer
        reading = await look(collector)
        counted += sum(one.durations.count for one in reading.observed if not one.series.labels)
    assert counted == total
    assert value(reading, nginx_metrics.REQUESTS, backend=BACKEND) == total
    assert value(reading, nginx_metrics.ERRORS, backend=BACKEND) == badly
    endpoints = {one.series.label("endpoint") for one in reading.observed}
    assert endpoints == {None, "GET /work"}
    assert {one.series.service for one in reading.observed} == {SERVICE}


@in_a_loop
async def test_percentiles_of_nginx_are_those_of_the_instances(
    door: tuple[NginxProcess, int],
) -> None:
    process, server = door
    collector = at_nginx(process)
    async with instance(server, Behaviour(seconds=0.1)):
        await requested(process.port, 5)
    reading = await until(collector, lambda found: bool(found.observed))
    (one,) = reading.observed
    assert one.durations.quantile(0.5) == pytest.approx(0.1, abs=0.05)


@in_a_loop
async def test_connections_of_nginx_are_without_the_one_that_asks(
    door: tuple[NginxProcess, int],
) -> None:
    process, _ = door
    collector = at_nginx(process)
    before = value(await look(collector), nginx_metrics.CONNECTIONS)
    assert before is not None
    _, writer = await asyncio.open_connection("127.0.0.1", process.port)
    await until(collector, lambda found: value(found, nginx_metrics.CONNECTIONS) == before + 1)
    assert value(await look(collector), nginx_metrics.QUEUE) == 0
    writer.close()
    collector.close()


@in_a_loop
async def test_a_frozen_nginx_costs_a_look_its_time_and_no_more(
    door: tuple[NginxProcess, int],
) -> None:
    process, _ = door
    collector = at_nginx(process)
    assert (await look(collector)).state is State.UP
    with frozen(process.process.pid):
        for _ in range(2):
            reading = await within(0.2, collector)
            assert reading.state is State.FROZEN
            assert value(reading, nginx_metrics.AVAILABILITY) == 0
    assert (await look(collector)).state is State.UP
    collector.close()


@in_a_loop
async def test_without_its_log_requests_of_nginx_are_missing_and_not_zero(
    door: tuple[NginxProcess, int], tmp_path: Path
) -> None:
    process, _ = door
    services = {BACKEND: SERVICE}
    collector = NginxCollector(
        process.status_port, tmp_path / "access.log", services, Requests(services, {})
    )
    reading = await look(collector)
    assert reading.state is State.UP
    assert value(reading, nginx_metrics.REQUESTS) is None
    assert [gap.state for gap in reading.gaps] == [State.MISSING]
    collector.close()


@in_a_loop
async def test_where_there_is_no_nginx_it_is_down(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    reading = await look(NginxCollector(port, tmp_path / "access.log", {}, Requests({}, {})))
    assert reading.state is State.DOWN
