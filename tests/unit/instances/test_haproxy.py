"""HAProxy as the agent leads it: judged by the real program, with a deployed configuration."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploys.components import haproxy as component
from stellwerk.instances.agent.haproxy import STATE_FILE, Haproxy, server_name, steps
from stellwerk.instances.agent.runtime_api import HaproxyAwayError, RuntimeApi, Server, parse
from stellwerk.instances.model import InstanceKey, Seen, Sighting, Snapshot, State
from stellwerk.settings.cluster import Cluster, load_cluster

from .ledgers import configuration, figures, instance, ledger, ready
from .programs import (
    Behaviour,
    HaproxyProcess,
    find,
    free_ports,
    haproxy,
    haproxy_config,
    in_a_loop,
    load,
)
from .programs import instance as running

pytestmark = pytest.mark.programs

NAME = "aktienanalyse-core"
BACKEND = "aktienanalyse_core_backend"
SLOTS = 4
REPOSITORY = Path(__file__).parents[3]
SECONDS = 20.0

needs_haproxy = pytest.mark.skipif(find("haproxy") is None, reason="haproxy is not installed")


class Site:
    """A HAProxy of one service, the agent's part that leads it, and the ledger it is told."""

    def __init__(self, process: HaproxyProcess, ports: range, listen_port: int) -> None:
        self.process = process
        self.ports = ports
        self.listen_port = listen_port
        self.snapshot = ready(NAME, range(0))
        self.agent = self.new_agent()

    def new_agent(self) -> Haproxy:
        """The agent as it is after a restart."""
        service = figures(NAME, self.ports, backend=BACKEND, listen_port=self.listen_port)
        folder = self.process.folder
        return Haproxy(configuration(service), folder, self.process.socket, folder / "groups")

    async def look(self) -> dict[int, Sighting]:
        """Converge once; how instances are seen, by port."""
        found = await self.agent.converge(self.snapshot)
        return {one.key.port: one for one in found}

    async def until(self, seen: Mapping[int, Seen]) -> dict[int, Sighting]:
        """Converge until instances are seen so."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.look()
                if {port: one.seen for port, one in found.items()} == seen:
                    return found
                await asyncio.sleep(0.05)

    async def has(self, states: Mapping[int, State]) -> dict[int, Sighting]:
        """Have these instances in the ledger, and converge until the ready ones are up."""
        self.snapshot = ready(NAME, states)
        return await self.until(
            {port: Seen.UP if state is State.READY else Seen.OUT for port, state in states.items()}
        )

    def servers(self) -> str:
        """HAProxy's servers without what changes by itself."""
        lines = self.process.ask("show servers state").splitlines()[2:]
        return "\n".join(" ".join((*line.split()[3:5], *line.split()[6:7])) for line in lines)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Cluster]:
    """The shipped cluster with values set by dotted key."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "inventory", folder / "inventory")

    def load(overrides: Mapping[str, str]) -> Cluster:
        return load_cluster(folder / "inventory", [REPOSITORY / "group_data"], overrides)

    return load


@pytest.fixture
def deployed(cluster: Callable[..., Cluster]) -> Callable[..., str]:
    """The haproxy.cfg of a deploy, for one service of so many ports."""

    def deployed(ports: range, listen_port: int, **more: str) -> str:
        settings = {
            "health_check_interval_seconds": "1",
            "slow_start_seconds": "0",
            "rise": "1",
            **more,
        }
        found = cluster(
            {
                f"services.{NAME}.port_base": str(ports[0] - 1),
                f"services.{NAME}.min_instances": "1",
                f"services.{NAME}.max_instances": str(len(ports)),
                f"services.{NAME}.listen_port": str(listen_port),
                f"scaling.services.{NAME}.enabled": "false",
                **{f"haproxy.{key}": value for key, value in settings.items()},
            }
        )
        text = component.config(found.group("balancers")[0].settings).files[0].content
        kept, *others = text.split("\nfrontend ")
        return "\nfrontend ".join([kept, *(one for one in others if one.startswith(f"{NAME}\n"))])

    return deployed


@pytest.fixture
def site(deployed: Callable[..., str]) -> Iterator[Site]:
    """A HAProxy that has just been installed: no instance is in rotation."""
    listen_port, first, *_ = free_ports(SLOTS + 1)
    ports = range(first, first + SLOTS)
    with haproxy(deployed(ports, listen_port)) as process:
        yield Site(process, ports, listen_port)


@asynccontextmanager
async def instances(*ports: int) -> AsyncIterator[dict[int, Behaviour]]:
    async with AsyncExitStack() as stack:
        yield {port: await stack.enter_async_context(running(port)) for port in ports}


@contextmanager
def frozen(process: HaproxyProcess) -> Iterator[None]:
    """A worker that neither answers nor ends."""
    worker = process.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def server(**changed: object) -> Server:
    return replace(
        Server(
            backend="b",
            name="s-1",
            address="192.0.2.1",
            port=1,
            maintenance=False,
            draining=False,
            up=True,
            active=0,
            requests=0,
            errors=0,
        ),
        **changed,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("now", "address", "verbs"),
    [
        ({}, "192.0.2.1", []),
        ({"address": "fd00::1"}, "fd00:0::1", []),
        ({"maintenance": True}, "192.0.2.1", ["addr", "drain", "down", "ready"]),
        ({"draining": True}, "192.0.2.1", ["ready"]),
        ({"draining": True, "active": 2}, "192.0.2.1", ["ready"]),
        ({}, "192.0.2.9", ["drain"]),
        ({"draining": True, "active": 1}, "192.0.2.9", []),
        ({"draining": True}, "192.0.2.9", ["maint"]),
        ({}, None, ["drain"]),
        ({"draining": True, "active": 1}, None, []),
        ({"draining": True}, None, ["maint"]),
        ({"maintenance": True}, None, []),
    ],
)
def test_a_server_takes_one_step_at_a_time_and_ends_its_requests_first(
    now: dict[str, object], address: str | None, verbs: list[str]
) -> None:
    commands = steps(server(**now), InstanceKey("s", 1), address)
    assert [command.split()[3 if "addr" in command else -1] for command in commands] == verbs


def test_an_answer_that_is_cut_off_is_not_taken_for_an_empty_haproxy() -> None:
    with pytest.raises(HaproxyAwayError):
        parse("Name: HAProxy\nPid: 12\n\n1\n# be_id be_name")


@needs_haproxy
@in_a_loop
async def test_a_new_installation_answers_503_and_has_a_server_for_every_port(site: Site) -> None:
    async with load(site.listen_port, 1) as seen:
        while not seen.total:
            await asyncio.sleep(0.01)
    assert set(seen.statuses) == {503}
    look = await RuntimeApi(site.process.socket).look()
    assert {name for _, name in look.servers} == {
        server_name(InstanceKey(NAME, port)) for port in site.ports
    }
    assert all(one.maintenance for one in look.servers.values())


@needs_haproxy
@in_a_loop
async def test_an_instance_gets_requests_only_after_the_checks_of_haproxy_passed(
    site: Site,
) -> None:
    first, second, *_ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY})
        behaviours[second].healthy = False
        async with load(site.listen_port, 4) as seen:
            site.snapshot = ready(NAME, range(first, first + 2))
            await site.until({first: Seen.UP, second: Seen.DOWN})
            before = seen.total
            while seen.total < before + 200:
                await asyncio.sleep(0.01)
            assert behaviours[second].answered == 0
            behaviours[second].healthy = True
            await site.until({first: Seen.UP, second: Seen.UP})
            while not behaviours[second].answered:
                await asyncio.sleep(0.01)
    assert seen.failed == 0


@needs_haproxy
@in_a_loop
async def test_an_instance_that_leaves_ends_its_requests_and_no_client_notices(site: Site) -> None:
    first, second, *_ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY, second: State.READY})
        behaviours[second].seconds = 2
        async with load(site.listen_port, 8) as seen:
            while behaviours[second].running < 2:
                await asyncio.sleep(0.01)
            site.snapshot = ready(NAME, {first: State.READY, second: State.DRAINING})
            draining = await site.look()
            assert draining[second].seen is Seen.DRAINING
            assert draining[second].active >= 2
            await site.until({first: Seen.UP, second: Seen.OUT})
            assert behaviours[second].running == 0
    assert behaviours[second].answered >= 2
    assert seen.failed == 0


@needs_haproxy
@in_a_loop
async def test_a_host_that_goes_with_most_instances_fails_no_request_that_comes_then(
    deployed: Callable[..., str],
) -> None:
    listen_port, first, *_ = free_ports(SLOTS + 1)
    ports = range(first, first + SLOTS)
    # Without help of the checks, which take their time.
    with haproxy(deployed(ports, listen_port, fall="1000")) as process:
        site = Site(process, ports, listen_port)
        async with instances(first):
            async with instances(*ports[1:]):
                await site.has(dict.fromkeys(ports, State.READY))
            async with load(listen_port, 4) as seen:
                while sum(seen.statuses.values()) < 200:
                    await asyncio.sleep(0.01)
    assert seen.failed == 0


@needs_haproxy
@in_a_loop
async def test_an_instance_that_is_kept_after_all_serves_on_at_once(site: Site) -> None:
    first, *_ = site.ports
    async with instances(first) as behaviours:
        await site.has({first: State.READY})
        behaviours[first].seconds = 1
        async with load(site.listen_port, 1) as seen:
            while not behaviours[first].running:
                await asyncio.sleep(0.01)
            site.snapshot = ready(NAME, {first: State.DRAINING})
            assert (await site.look())[first].seen is Seen.DRAINING
            site.snapshot = ready(NAME, {first: State.READY})
            assert (await site.look())[first].seen is Seen.UP
    assert seen.failed == 0


@needs_haproxy
@pytest.mark.parametrize("how", ["reload", "restart"])
@in_a_loop
async def test_addresses_and_states_survive_haproxys(site: Site, how: str) -> None:
    first, second, third, _ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY, second: State.READY})
        behaviours[second].seconds = 3
        away = instance(NAME, third, address="127.0.0.2")
        async with load(site.listen_port, 4) as seen:
            while not behaviours[second].running:
                await asyncio.sleep(0.01)
            leaving = instance(NAME, second, State.DRAINING)
            site.snapshot = ledger(instance(NAME, first), leaving, away)
            await site.until({first: Seen.UP, second: Seen.DRAINING, third: Seen.DOWN})
            before = site.servers()
            if how == "reload":
                await asyncio.to_thread(site.process.reload)
                assert site.servers() == before
        if how == "restart":
            await asyncio.to_thread(site.process.restart)
            assert site.servers() == before
        assert "127.0.0.2" in before
        answered = behaviours[first].answered
        async with load(site.listen_port, 4) as after:
            while after.total < 50:
                await asyncio.sleep(0.01)
        assert behaviours[first].answered > answered
    if how == "reload":
        assert seen.failed == 0


@needs_haproxy
@in_a_loop
async def test_an_instance_is_not_out_while_a_worker_of_before_a_reload_may_send_it_requests(
    site: Site,
) -> None:
    first, second, *_ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY, second: State.READY})
        behaviours[second].seconds = 2
        async with load(site.listen_port, 4) as seen:
            while not behaviours[second].running:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(site.process.reload)
            site.agent = site.new_agent()
            site.snapshot = ready(NAME, {first: State.READY, second: State.DRAINING})
            assert (await site.look())[second].seen is Seen.DRAINING
            await site.until({first: Seen.UP, second: Seen.OUT})
            assert behaviours[second].running == 0
    assert seen.failed == 0


@needs_haproxy
@in_a_loop
async def test_an_instance_is_not_out_while_the_bridge_of_a_restart_may_send_it_requests(
    site: Site, tmp_path: Path
) -> None:
    first, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY})
        program = shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / "haproxy")
        bridge = await asyncio.create_subprocess_exec(program, "infinity")
        group = site.process.folder / "groups/system.slice/haproxy-bridge@1.service"
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text(f"{bridge.pid}\n")
        site.snapshot = ready(NAME, {first: State.DRAINING})
        await site.until({first: Seen.DRAINING})
        assert (await site.look())[first].seen is Seen.DRAINING
        bridge.kill()
        await bridge.wait()
        await site.until({first: Seen.OUT})


@needs_haproxy
@pytest.mark.parametrize("damage", ["missing", "cut off", "empty", "nonsense"])
@in_a_loop
async def test_a_damaged_state_file_does_no_harm_beyond_new_checks(site: Site, damage: str) -> None:
    first, *_ = site.ports
    path = site.process.folder / STATE_FILE
    async with instances(first):
        await site.has({first: State.READY})
        whole = path.read_text()
        match damage:
            case "missing":
                path.unlink()
            case "cut off":
                path.write_text(whole[: len(whole) // 2])
            case _:
                path.write_text("" if damage == "empty" else "nonsense\n" * 3)
        await asyncio.to_thread(site.process.restart)
        await site.until({first: Seen.UP})
        assert path.read_text().count(f"{NAME}-") == SLOTS


@needs_haproxy
@in_a_loop
async def test_more_servers_in_the_configuration_leave_those_in_rotation_alone(
    site: Site, deployed: Callable[..., str]
) -> None:
    first, second, *_ = site.ports
    async with instances(first, second):
        await site.has({first: State.READY, second: State.READY})
        wider = range(first, first + 2 * SLOTS)
        text = haproxy_config(deployed(wider, site.listen_port), site.process.folder)
        (site.process.folder / "haproxy.cfg").write_text(text)
        before = site.servers().splitlines()
        await asyncio.to_thread(site.process.reload)
        assert site.servers().splitlines()[:SLOTS] == before
        assert len(site.servers().splitlines()) == 2 * SLOTS
        site.ports = wider
        site.agent = site.new_agent()
        found = await site.look()
        assert {port: one.seen for port, one in found.items()} == {first: Seen.UP, second: Seen.UP}


@needs_haproxy
@in_a_loop
async def test_what_is_as_wanted_is_not_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY, second: State.FAILED})
        told: list[str] = []
        monkeypatch.setattr(RuntimeApi, "tell", lambda _, commands: told.extend(commands))
        path = site.process.folder / STATE_FILE
        written = path.stat().st_mtime_ns
        await site.look()
        site.agent = site.new_agent()
        await site.look()
        assert told == []
        assert path.stat().st_mtime_ns >= written
        again = path.stat().st_mtime_ns
        await site.look()
        assert path.stat().st_mtime_ns == again


@needs_haproxy
@in_a_loop
async def test_an_empty_ledger_takes_nothing_out_of_rotation(site: Site) -> None:
    first, second, *_ = site.ports
    async with instances(first, second):
        await site.has({first: State.READY, second: State.READY})
        before = site.servers()
        site.snapshot = ledger()
        assert await site.look() == {}
        site.snapshot = ready(NAME, {first: State.STARTING, second: State.STARTING})
        await site.until({first: Seen.UP, second: Seen.UP})
        assert site.servers() == before


@needs_haproxy
@in_a_loop
async def test_a_frozen_haproxy_is_not_waited_for_and_says_nothing_about_instances(
    site: Site,
) -> None:
    first, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY})
        site.snapshot = ready(NAME, {first: State.DRAINING})
        with frozen(site.process):
            async with asyncio.timeout(2):
                assert await site.look() == {}
        await site.until({first: Seen.OUT})


@needs_haproxy
@in_a_loop
async def test_a_haproxy_that_has_ended_has_nothing_in_rotation(site: Site) -> None:
    first, second, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY})
        await asyncio.to_thread(site.process.stop)
        site.snapshot = ready(NAME, {first: State.READY, second: State.DRAINING})
        await site.until({first: Seen.DOWN, second: Seen.OUT})


@needs_haproxy
@in_a_loop
async def test_a_missing_socket_of_a_haproxy_that_serves_says_nothing_about_instances(
    site: Site,
) -> None:
    first, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY})
        site.process.socket.rename(site.process.folder / "elsewhere.sock")
        assert await site.look() == {}
        (site.process.folder / "elsewhere.sock").rename(site.process.socket)
        await site.until({first: Seen.UP})


@needs_haproxy
@in_a_loop
async def test_requests_and_errors_count_from_the_entry_into_rotation_on_and_over_a_reload(
    site: Site,
) -> None:
    first, *_ = site.ports
    async with instances(first) as behaviours:
        await site.has({first: State.READY})
        await requests(site, 5)
        behaviours[first].status = 500
        await requests(site, 3)
        behaviours[first].hangs_up = True
        await requests(site, 2)
        found = await site.until({first: Seen.UP})
        assert (found[first].requests, found[first].errors) == (10, 5)
        behaviours[first].hangs_up = False
        await asyncio.to_thread(site.process.reload)
        await requests(site, 4)
        found = await site.until({first: Seen.UP})
        assert (found[first].requests, found[first].errors) == (14, 9)
        behaviours[first].status = 200
        await site.has({first: State.DRAINING})
        found = await site.has({first: State.READY})
        assert (found[first].requests, found[first].errors) == (0, 0)


@needs_haproxy
@in_a_loop
async def test_an_address_with_commands_in_it_is_none(site: Site) -> None:
    first, *_ = site.ports
    before = site.servers()
    site.snapshot = ledger(instance(NAME, first, address="127.0.0.1;set server x/y state ready"))
    assert (await site.look())[first].seen is Seen.OUT
    assert site.servers() == before


@needs_haproxy
@in_a_loop
async def test_a_port_that_moves_to_another_host_is_drained_before_it_is_pointed_there(
    site: Site,
) -> None:
    first, *_ = site.ports
    async with instances(first) as behaviours:
        await site.has({first: State.READY})
        behaviours[first].seconds = 1
        async with load(site.listen_port, 1):
            while not behaviours[first].running:
                await asyncio.sleep(0.01)
            site.snapshot = ledger(instance(NAME, first, address="127.0.0.2"))
            assert (await site.look())[first].seen is Seen.DRAINING
            assert "127.0.0.2" not in site.servers()
            await site.until({first: Seen.DOWN})
            assert "127.0.0.2" in site.servers()


async def requests(site: Site, count: int) -> None:
    """Send so many requests, one after the other, on new connections."""
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.listen_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.read(-1)
        writer.close()


def test_a_snapshot_of_other_services_says_nothing(tmp_path: Path) -> None:
    agent = Haproxy(configuration(), tmp_path, tmp_path / "none.sock")
    found: Snapshot = ready("another", range(1, 2))
    assert asyncio.run(agent.converge(found)) == []


@needs_haproxy
@in_a_loop
async def test_a_reload_closes_no_connection_under_a_clients_next_request(site: Site) -> None:
    first, *_ = site.ports
    async with instances(first):
        await site.has({first: State.READY})
        async with load(site.listen_port, 20, pause=0.05) as seen:
            for _ in range(3):
                before = seen.total
                await asyncio.to_thread(site.process.reload)
                while seen.total < before + 40:
                    await asyncio.sleep(0.01)
    assert (seen.failed, seen.closed_idle) == (0, 0)
