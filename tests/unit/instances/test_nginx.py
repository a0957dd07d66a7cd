"""nginx as the agent leads it: the real program, root's tool and the agent's part together."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from deploys.components import nginx as component
from deploys.engine.resources import ConfigSet
from deploys.host import nginx_process, nginx_upstreams, units
from deploys.host.command import Failure
from stellwerk.host.systemd import UnitError
from stellwerk.instances.agent.nginx import APPLY_UNIT, REQUEST_FILE, Nginx, Paths
from stellwerk.instances.model import (
    Rollout,
    RolloutState,
    Seen,
    Sighting,
    Snapshot,
    State,
)
from stellwerk.settings.cluster import load_cluster

from .ledgers import NOW, configuration, figures, instance, ledger, ready
from .programs import (
    WORKERS,
    Behaviour,
    NginxProcess,
    find,
    free_ports,
    in_a_loop,
    load,
    nginx,
    wait_until,
)
from .programs import instance as running

NAME = "aktienanalyse-frontend"
UPSTREAM = "aktienanalyse_frontend_upstream"
REPOSITORY = Path(__file__).parents[3]
PORTS = 3
SECONDS = 20.0

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(find("nginx") is None, reason="nginx is not installed"),
]


class Clock:
    """Time as the agent's part sees it; stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Root:
    """Root's unit, as systemd runs it: applies the request and says how that ended."""

    def __init__(self) -> None:
        self.started = 0
        self.failure = ""
        self.waits: asyncio.Event | None = None

    async def start(self, unit: str) -> str:
        assert unit == APPLY_UNIT
        self.started += 1
        if self.waits is not None:
            await self.waits.wait()
        if self.failure:
            raise UnitError(self.failure)
        try:
            await asyncio.to_thread(nginx_upstreams.apply)
        except (Failure, OSError):
            return "failed"
        return "done"


class Site:
    """An nginx of one service, the agent's part that leads it, and the ledger it is told."""

    def __init__(self, process: NginxProcess, ports: range) -> None:
        self.process = process
        self.ports = ports
        self.clock = Clock()
        self.root = Root()
        self.snapshot = ready(NAME, range(0))
        self.paths = Paths(
            upstreams=process.servers,
            allowed=process.folder / "allowed.json",
            result=process.folder / "result.json",
            pid=process.pid_file,
            access_log=process.access_log,
        )
        self.allow("127.0.0.1")
        self.agent = self.new_agent()

    def new_agent(self) -> Nginx:
        """The agent as it is after a restart."""
        service = figures(NAME, self.ports, balancer="nginx", backend=UPSTREAM, listen_port=None)
        return Nginx(configuration(service), self.process.folder, self.root, self.paths, self.clock)

    def allow(self, *addresses: str) -> None:
        upstreams = {UPSTREAM: [self.ports[0], self.ports[-1]]}
        self.paths.allowed.write_text(json.dumps({"addresses": addresses, "upstreams": upstreams}))

    async def look(self) -> dict[int, Sighting]:
        """Converge once; how instances are seen, by port."""
        found = await self.agent.converge(self.snapshot)
        return {one.key.port: one for one in found}

    async def until(self, seen: Mapping[int, Seen], between: float = 10) -> dict[int, Sighting]:
        """Converge until it is seen so; `between` are the seconds that seem to pass from one time
        to the next, by default more than the interval between reloads.
        """
        async with asyncio.timeout(SECONDS):
            while True:
                found = await self.look()
                if {port: one.seen for port, one in found.items()} == seen:
                    return found
                self.clock.now += between
                await asyncio.sleep(0.05)

    async def has(self, states: Mapping[int, State]) -> dict[int, Sighting]:
        """Have these instances in the ledger, and converge until only the ready ones are up."""
        self.snapshot = ready(NAME, states)
        found = await self.until(
            {port: Seen.UP if state is State.READY else Seen.OUT for port, state in states.items()}
        )
        # For 0.1 s after a reload the workers of before take connections as well.
        await asyncio.to_thread(
            wait_until, lambda: len(self.process.workers()) == WORKERS, "the old workers have ended"
        )
        return found

    def servers(self) -> str:
        return (self.process.servers / f"{UPSTREAM}.servers").read_text()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> ConfigSet:
    """The nginx of a deploy with the shipped settings."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "inventory").write_text((REPOSITORY / "inventory").read_text())
    cluster = load_cluster(folder / "inventory", [REPOSITORY / "group_data"], {})
    found, *_ = component.configs(cluster, cluster.group("balancers")[0])
    return found


@pytest.fixture
def site(deployed: ConfigSet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An nginx that has just been installed: its upstream has no server."""
    first, *_ = free_ports(PORTS)
    text, *seeds = deployed.files
    servers = {Path(seed.path).stem: seed.content for seed in seeds}
    with nginx(text.content, servers) as process:
        found = Site(process, range(first, first + PORTS))
        monkeypatch.setattr(nginx_upstreams, "REQUEST", process.folder / REQUEST_FILE)
        monkeypatch.setattr(nginx_upstreams, "ALLOWED", found.paths.allowed)
        monkeypatch.setattr(nginx_upstreams, "RESULT", found.paths.result)
        monkeypatch.setattr(nginx_upstreams, "NGINX", process.servers.parent)
        monkeypatch.setattr(nginx_upstreams, "SERVERS", process.servers)
        monkeypatch.setattr(nginx_process, "PID", process.pid_file)
        monkeypatch.setattr(nginx_process, "ERRORS", process.folder / "error.log")
        monkeypatch.setattr(units, "is_active", lambda _: True)
        for module in (nginx_process, nginx_upstreams):
            monkeypatch.setattr(module, "run", command_of(process))
        yield found


def command_of(
    process: NginxProcess,
) -> Callable[[Sequence[str]], subprocess.CompletedProcess[str]]:
    """Commands of the tool, with nginx's own place and without systemd."""

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        if command[0] == "systemctl":
            os.kill(process.process.pid, signal.SIGHUP)
            return subprocess.CompletedProcess(command, 0, "", "")
        words = [*process.command[:1], *command[1:], "-e", str(process.folder / "error.log")]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    return run


@asynccontextmanager
async def instances(*ports: int) -> AsyncIterator[dict[int, Behaviour]]:
    async with AsyncExitStack() as stack:
        yield {port: await stack.enter_async_context(running(port)) for port in ports}


def rolling(snapshot: Snapshot, state: RolloutState = RolloutState.RUNNING) -> Snapshot:
    rollout = Rollout(1, NAME, "1" * 16, None, state, NOW, NOW + timedelta(), "test")
    return ledger(*snapshot.instances.values(), rollouts={1: rollout})


@in_a_loop
async def test_instances_enter_and_leave_and_no_client_gets_an_error(site: Site) -> None:
    first, second, _ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY})
        behaviours[second].seconds = 1
        async with load(site.process.port, 4, pause=0.01) as seen:
            await site.has({first: State.READY, second: State.READY})
            while not behaviours[second].running:
                await asyncio.sleep(0.01)
            site.snapshot = ready(NAME, {first: State.READY, second: State.DRAINING})
            await site.until({first: Seen.UP, second: Seen.DRAINING})
            await site.until({first: Seen.UP, second: Seen.OUT})
            assert behaviours[second].running == 0
    assert behaviours[second].answered
    assert set(seen.statuses) == {200}


@in_a_loop
async def test_before_there_are_instances_nginx_answers_502(site: Site) -> None:
    async with load(site.process.port, 1, pause=0.01) as seen:
        while not seen.total:
            await asyncio.sleep(0.01)
    assert set(seen.statuses) == {502}


@in_a_loop
async def test_what_is_as_wanted_causes_no_reload(site: Site) -> None:
    first, second, _ = site.ports
    await site.has({first: State.READY, second: State.FAILED})
    workers, started = site.process.workers(), site.root.started
    for _ in range(3):
        site.clock.now += 10
        await site.look()
    site.agent = site.new_agent()
    await site.look()
    assert site.root.started == started
    assert site.process.workers() == workers


@in_a_loop
async def test_a_change_within_the_interval_waits_and_goes_with_the_next_ones(site: Site) -> None:
    first, second, third = site.ports
    site.snapshot = ready(NAME, range(first, second))
    await site.until({first: Seen.UP}, between=0)
    started = site.root.started
    site.snapshot = ready(NAME, range(first, third))
    await site.look()
    site.snapshot = ready(NAME, range(first, third + 1))
    found = await site.look()
    assert site.root.started == started
    assert {port: one.seen for port, one in found.items()} == {
        first: Seen.UP,
        second: Seen.OUT,
        third: Seen.OUT,
    }
    assert 0 < site.agent.pause <= 2
    site.clock.now += 2
    await site.until(dict.fromkeys(site.ports, Seen.UP))
    assert site.root.started == started + 1


@in_a_loop
async def test_a_slow_unit_is_not_waited_for_and_not_started_twice(site: Site) -> None:
    first, *_ = site.ports
    site.root.waits = asyncio.Event()
    site.snapshot = ready(NAME, range(first, first + 1))
    async with asyncio.timeout(2):
        assert (await site.look())[first].seen is Seen.OUT
    site.clock.now += 10
    await site.look()
    assert site.root.started == 1
    assert site.agent.pause < 1
    site.root.waits.set()
    await site.until({first: Seen.UP})


@in_a_loop
async def test_a_refusal_is_logged_with_its_reason_and_tried_again_with_growing_pauses(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    first, *_ = site.ports
    (site.process.servers.parent / "nginx.conf").write_text("nonsense")
    site.snapshot = ready(NAME, range(first, first + 1))
    pauses = []
    for number in range(6):
        async with asyncio.timeout(SECONDS):
            while caplog.text.count("refused by nginx") <= number:
                assert (await site.look())[first].seen is Seen.OUT
                await asyncio.sleep(0.01)
        pauses.append(site.agent.pause)
        started = site.root.started
        await site.look()
        assert site.root.started == started
        site.clock.now += 61
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 60


@in_a_loop
async def test_an_unreachable_systemd_changes_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    first, *_ = site.ports
    site.root.failure = "systemd does not answer"
    site.snapshot = ready(NAME, range(first, first + 1))
    assert (await site.look())[first].seen is Seen.OUT
    assert "systemd does not answer" in caplog.text
    site.root.failure = ""
    await site.until({first: Seen.UP})


@in_a_loop
async def test_an_empty_ledger_takes_nothing_out_of_rotation(site: Site) -> None:
    first, second, _ = site.ports
    await site.has({first: State.READY, second: State.READY})
    before = site.servers()
    site.snapshot = ledger()
    site.clock.now += 100
    await site.look()
    site.snapshot = ready(NAME, {first: State.STARTING, second: State.STARTING})
    await site.until({first: Seen.UP, second: Seen.UP})
    assert site.servers() == before


@in_a_loop
async def test_instances_that_leave_may_empty_an_upstream(site: Site) -> None:
    first, *_ = site.ports
    await site.has({first: State.READY})
    await site.has({first: State.DRAINING})
    assert "down;" in site.servers()


@in_a_loop
async def test_a_host_that_the_deploy_does_not_know_is_left_out_and_named(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, _ = site.ports
    site.snapshot = ledger(instance(NAME, first), instance(NAME, second, address="192.0.2.66"))
    await site.until({first: Seen.UP, second: Seen.OUT})
    assert "192.0.2.66" in caplog.text
    assert "192.0.2.66" not in site.servers()


@in_a_loop
async def test_without_the_deploys_list_of_hosts_those_in_rotation_stay(site: Site) -> None:
    first, second, _ = site.ports
    await site.has({first: State.READY})
    site.paths.allowed.unlink()
    site.snapshot = ready(NAME, {first: State.READY, second: State.READY})
    await site.until({first: Seen.UP, second: Seen.OUT})


@in_a_loop
async def test_a_nginx_that_has_ended_has_nothing_in_rotation(site: Site) -> None:
    first, second, _ = site.ports
    await site.has({first: State.READY, second: State.READY})
    await asyncio.to_thread(site.process.stop)
    site.process.pid_file.unlink(missing_ok=True)
    found = await site.look()
    assert {port: one.seen for port, one in found.items()} == {
        first: Seen.DOWN,
        second: Seen.DOWN,
    }


@in_a_loop
async def test_an_interrupted_reload_is_made_up_for(site: Site) -> None:
    first, *_ = site.ports
    await site.has({first: State.READY})
    result = json.loads(site.paths.result.read_text())
    site.paths.result.write_text(
        json.dumps({**result, "reloaded": False, "entering": {UPSTREAM: [first]}})
    )
    workers = site.process.workers()
    site.clock.now += 10
    site.agent = site.new_agent()
    await site.until({first: Seen.UP})
    assert site.process.workers() != workers


@in_a_loop
async def test_while_a_roll_out_runs_requests_and_errors_count_from_the_entry_on(
    site: Site,
) -> None:
    first, second, _ = site.ports
    async with instances(first, second) as behaviours:
        await site.has({first: State.READY, second: State.READY})
        site.snapshot = rolling(site.snapshot)
        await site.look()
        behaviours[second].status = 500
        async with load(site.process.port, 1) as seen:
            while seen.total < 20:
                await asyncio.sleep(0.01)
        found = await site.look()
        assert sum(one.requests for one in found.values()) == seen.total
        assert found[second].errors == seen.statuses[500] == found[second].requests
        assert found[first].errors == 0
        gone = instance(NAME, second, State.DRAINING)
        site.snapshot = rolling(ledger(instance(NAME, first), gone))
        await site.until({first: Seen.UP, second: Seen.OUT})
        site.snapshot = rolling(ready(NAME, {first: State.READY, second: State.READY}))
        found = await site.until({first: Seen.UP, second: Seen.UP})
        assert (found[second].requests, found[second].errors) == (0, 0)


@in_a_loop
async def test_a_server_that_refuses_counts_as_an_error_though_the_client_gets_an_answer(
    site: Site,
) -> None:
    first, second, _ = site.ports
    async with instances(first):
        await site.has({first: State.READY, second: State.READY})
        site.snapshot = rolling(site.snapshot)
        await site.look()
        async with load(site.process.port, 1) as seen:
            while seen.total < 10:
                await asyncio.sleep(0.01)
        found = await site.look()
    assert set(seen.statuses) == {200}
    assert found[second].requests == found[second].errors > 0
    assert found[first].errors == 0


@in_a_loop
async def test_a_worker_of_another_daemon_under_a_reused_number_is_not_waited_for(
    site: Site,
) -> None:
    first, *_ = site.ports
    await site.has({first: State.READY})
    await site.has({first: State.DRAINING})
    result = json.loads(site.paths.result.read_text())
    leaving = {UPSTREAM: {str(first): [os.getpid()]}}
    site.paths.result.write_text(json.dumps({**result, "leaving": leaving}))
    assert (await site.look())[first].seen is Seen.OUT
