"""The agent of an app host, against a real ledger and a fake systemd on a real bus."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from stellwerk.host.systemd import SystemdUnits
from stellwerk.instances.agent.app_host import AppHost, Paths
from stellwerk.instances.agent.daemon import Agent
from stellwerk.instances.configuration import AgentConfiguration, ServiceFigures
from stellwerk.instances.model import InstanceKey, RolloutState, Snapshot, State
from stellwerk.instances.store import Ledger
from tests.unit.instances.fake_systemd import FakeSystemd, bus
from tests.unit.instances.ledger_server import LEDGER, NEW, OLD, PASSWORD, LedgerServer

pytestmark = pytest.mark.programs

Check = Callable[[Snapshot], bool]
PATIENCE = 60.0


@dataclass
class Host:
    """An app host with everything an agent needs, and the operator's view of the ledger."""

    configuration: AgentConfiguration
    systemd: FakeSystemd
    operator: Ledger
    server: LedgerServer
    paths: Paths
    address: str

    @property
    def ports(self) -> list[int]:
        return list(self.configuration.services["shop"].ports)

    def key(self, index: int) -> InstanceKey:
        return InstanceKey("shop", self.ports[index])

    async def until(self, check: Check) -> Snapshot:
        """The ledger as soon as `check` holds of it."""
        async with asyncio.timeout(PATIENCE):
            snapshot = await self.operator.snapshot()
            while not check(snapshot):
                await asyncio.sleep(0.05)
                snapshot = await self.operator.snapshot()
            return snapshot

    async def roll(self, generation: str) -> None:
        self.server.psql(
            "INSERT INTO stellwerk.generations (service, generation, release)"
            f" VALUES ('shop', '{generation}', '') ON CONFLICT DO NOTHING"
        )
        await self.operator.start_rollout(
            "shop",
            generation,
            restart=False,
            started_by="test",
            max_unavailable=1,
            canary_seconds=0,
            canary_error_percent=5.0,
        )

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[AppHost]:
        """The agent runs; at the end it is gone at once, as killed."""
        wake = asyncio.Event()
        units = SystemdUnits(["shop@*.service"], wake.set, self.address)
        await units.connect()
        ledger = Ledger(self.configuration.ledger, PASSWORD, "agent")
        part = AppHost(self.configuration, ledger, units, self.paths, wake.set, await units.boot())
        running = asyncio.ensure_future(Agent(self.configuration, ledger, part, None, wake).run())
        try:
            yield part
        finally:
            assert not running.done(), running.exception()
            running.cancel()
            await asyncio.wait([running])
            await part.close()
            await ledger.close()
            units.close()


def ready(count: int, generation: str | None = None) -> Check:
    def check(snapshot: Snapshot) -> bool:
        rows = [one for one in snapshot.of("shop") if one.state is State.READY]
        return len(rows) == len(snapshot.of("shop")) == count and all(
            generation in (None, one.generation) for one in rows
        )

    return check


def rolled(state: RolloutState) -> Check:
    return lambda snapshot: any(one.state is state for one in snapshot.rollouts.values())


def on_a_host(
    deployed: LedgerServer, folder: Path, test: Callable[[Host], Coroutine[Any, Any, None]]
) -> None:
    asyncio.run(_on_a_host(deployed, folder, test))


async def _on_a_host(
    deployed: LedgerServer, folder: Path, test: Callable[[Host], Coroutine[Any, Any, None]]
) -> None:
    paths = Paths(folder, folder / "units", folder / "generations")
    paths.units.mkdir()
    for generation in (OLD, NEW):
        (paths.generations / "shop" / generation).mkdir(parents=True)
        (paths.generations / "shop" / generation / "shop@.service").touch()
    configuration = configured(deployed, _free_ports(4))
    systemd = FakeSystemd(paths.units, paths.generations)
    with bus(folder) as address:
        async with systemd.served(address), deployed.connected(LEDGER) as operator:
            await test(Host(configuration, systemd, operator, deployed, paths, address))


def configured(deployed: LedgerServer, first_port: int) -> AgentConfiguration:
    """An app host with one service on four ports."""
    shop = ServiceFigures(
        name="shop",
        first_port=first_port,
        last_port=first_port + 3,
        health_path="/health",
        health_grace=0.0,
        health_timeout=2.0,
        health_tries=2,
        start_timeout=10.0,
        drain_timeout=5.0,
        stop_timeout=5.0,
        balancer=None,
        backend=None,
        listen_port=None,
    )
    return AgentConfiguration(
        host="app-1",
        address="127.0.0.1",
        roles=("apps",),
        ledger=deployed.address("stellwerk_agent"),
        services={"shop": shop},
        balancers=(),
        release="1",
        heartbeat=1.0,
        lost_after=30.0,
        nginx_reload_interval=2.0,
        sample_retention=600.0,
    )


def _free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody has."""
    for first in range(21000, 29000, count):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no ports are free")


def test_what_is_desired_is_claimed_pinned_started_and_ready(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 2, "test")
        async with host.agent():
            snapshot = await host.until(ready(2, OLD))
        assert [one.key for one in snapshot.of("shop")] == [host.key(0), host.key(1)]
        assert host.systemd.running() == {host.key(0).unit, host.key(1).unit}
        assert {host.systemd.pin(host.key(index)) for index in (0, 1)} == {OLD}

    on_a_host(shop, tmp_path, test)


def test_the_end_of_the_agent_stops_nothing_and_the_next_one_changes_nothing(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 2, "test")
        async with host.agent():
            before = await host.until(ready(2))
        calls = list(host.systemd.calls)
        async with host.agent():
            await host.operator.set_desired("shop", "app-1", 3, "test")
            after = await host.until(ready(3))
        assert [call for call in host.systemd.calls if call not in calls] == [
            ("StartUnit", f"stellwerk-pin@shop:{host.ports[2]}:{OLD}.service"),
            ("StartUnit", host.key(2).unit),
        ]
        assert before.instances.items() <= after.instances.items()

    on_a_host(shop, tmp_path, test)


def test_a_new_generation_reaches_every_instance(shop: LedgerServer, tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 2, "test")
        async with host.agent():
            await host.until(ready(2, OLD))
            await host.roll(NEW)
            snapshot = await host.until(rolled(RolloutState.DONE))
        assert ready(2, NEW)(snapshot)
        assert snapshot.services["shop"].stable == NEW

    on_a_host(shop, tmp_path, test)


@pytest.mark.parametrize("how", ["answers 500", "does not start"])
def test_a_bad_generation_stops_at_the_first_instance(
    shop: LedgerServer, tmp_path: Path, how: str
) -> None:
    async def test(host: Host) -> None:
        if how == "answers 500":
            host.systemd.answers[NEW] = 500
        else:
            host.systemd.crashing.add(NEW)
        await host.operator.set_desired("shop", "app-1", 3, "test")
        async with host.agent():
            await host.until(ready(3))
            await host.roll(OLD)
            await host.until(rolled(RolloutState.DONE))
            await host.roll(NEW)
            snapshot = await host.until(rolled(RolloutState.FAILED))
            (rollout,) = snapshot.rollouts.values()
            assert rollout.failed_instance == str(host.key(0))
            assert ("500" if how == "answers 500" else "exit-code") in rollout.reason
            assert {one.generation for one in snapshot.of("shop")[1:]} == {OLD}
            await host.roll(OLD)
            await host.until(lambda now: rolled(RolloutState.DONE)(now) and ready(3, OLD)(now))

    on_a_host(shop, tmp_path, test)


def test_a_crash_is_seen_counted_and_followed_until_the_instance_is_healthy_again(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent():
            before = await host.until(ready(1))
        await host.systemd.crash(host.key(0).unit)  # while no agent looks
        async with host.agent():
            after = await host.until(
                lambda now: ready(1)(now) and now.instances[host.key(0)].restarts == 1
            )
        assert after.instances[host.key(0)].since > before.instances[host.key(0)].since

    on_a_host(shop, tmp_path, test)


def test_a_generation_that_is_not_here_fails_its_instance_and_no_other(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent():
            await host.until(ready(1))
            shop.psql("UPDATE stellwerk.services SET generation = repeat('3', 16)")
            await host.operator.set_desired("shop", "app-1", 2, "test")
            snapshot = await host.until(
                lambda now: any(one.state is State.FAILED for one in now.of("shop"))
            )
        assert snapshot.instances[host.key(0)].state is State.READY
        assert snapshot.instances[host.key(1)].reason == (
            "generation 33333333 is not on app-1: run the deploy for this host"
        )

    on_a_host(shop, tmp_path, test)


def test_a_refused_unit_says_so_in_its_row(shop: LedgerServer, tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        host.systemd.refused.add(host.key(0).unit)
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent():
            snapshot = await host.until(
                lambda now: any(one.state is State.FAILED for one in now.of("shop"))
            )
        assert "Access denied" in snapshot.instances[host.key(0)].reason

    on_a_host(shop, tmp_path, test)


def test_instances_of_a_lost_ledger_run_on_and_are_adopted(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 2, "test")
        async with host.agent():
            await host.until(ready(2))
            calls = list(host.systemd.calls)
            shop.psql("DELETE FROM stellwerk.instances; DELETE FROM stellwerk.desired")
            await host.until(ready(2))
        assert host.systemd.calls == calls

    on_a_host(shop, tmp_path, test)


def test_an_instance_that_is_one_too_many_is_stopped_unpinned_and_forgotten(
    shop: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 2, "test")
        async with host.agent():
            await host.until(ready(2))
            await host.operator.set_desired("shop", "app-1", 1, "test")
            await host.until(ready(1))
        assert host.systemd.running() == {host.key(0).unit}
        assert host.systemd.pin(host.key(1)) is None

    on_a_host(shop, tmp_path, test)


def test_a_unit_that_runs_unpinned_is_never_touched(shop: LedgerServer, tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        foreign = host.key(0).unit
        pin = host.paths.units / foreign
        pin.symlink_to(host.paths.generations / "shop" / OLD / "shop@.service")
        await host.systemd.start(foreign)
        pin.unlink()
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent():
            snapshot = await host.until(ready(1))
        assert [one.key for one in snapshot.of("shop")] == [host.key(1)]
        assert not [call for call in host.systemd.calls if call[1] == foreign]

    on_a_host(shop, tmp_path, test)


def test_while_the_ledger_is_away_nothing_moves_and_afterwards_it_catches_up(
    own_server: LedgerServer, tmp_path: Path
) -> None:
    async def test(host: Host) -> None:
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent():
            await host.until(ready(1))
            calls = list(host.systemd.calls)
            await host.operator.close()
            binaries, data = own_server.server.binaries, own_server.server.data
            binaries.run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
            await host.systemd.crash(host.key(0).unit)
            log = str(data.parent / "log")
            binaries.run("pg_ctl", "-D", str(data), "-l", log, "-w", "start")
            assert host.systemd.calls == calls
            await host.operator.connect()
            await host.operator.set_desired("shop", "app-1", 2, "test")
            await host.until(ready(2))

    on_a_host(own_server, tmp_path, test)


def test_an_instance_is_not_judged_while_the_ledger_is_away(
    own_server: LedgerServer, tmp_path: Path
) -> None:
    """Its unit is not looked at meanwhile, so the time it has to start must not pass."""

    async def test(host: Host) -> None:
        shop = replace(host.configuration.services["shop"], health_grace=600.0)
        host.configuration = replace(host.configuration, services={"shop": shop})
        host.systemd.answers[OLD] = 503
        await host.operator.set_desired("shop", "app-1", 1, "test")
        async with host.agent() as part:
            await eventually(lambda: bool(part.watched))
            await host.operator.close()
            binaries, data = own_server.server.binaries, own_server.server.data
            binaries.run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
            await eventually(lambda: not part.watched)
            del host.systemd.answers[OLD]
            log = str(data.parent / "log")
            binaries.run("pg_ctl", "-D", str(data), "-l", log, "-w", "start")
            await host.operator.connect()
            await host.until(ready(1))

    on_a_host(own_server, tmp_path, test)


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not check():
            await asyncio.sleep(0.05)
