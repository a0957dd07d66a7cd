"""The life of an instance on real sockets and signals, as systemd sees it."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from stellwerk.sample.configuration import ServiceConfiguration, Switches
from stellwerk.sample.service import ListenError, serve

LIMIT_SECONDS = 30
SET_BY_REQUEST = Switches(set_by_request=True)


def configuration(switches: Switches = SET_BY_REQUEST) -> ServiceConfiguration:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ServiceConfiguration(
        service="aktienanalyse-frontend",
        instance=str(port),
        port=port,
        bind_addresses=("127.0.0.1",),
        switches=switches,
    )


class Systemd:
    """The receiving end of the notify socket."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    async def until(self, message: str) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while message not in self.heard:
                datagram = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                self.heard += datagram.decode().split("\n")

    def close(self) -> None:
        self._socket.close()


def live(
    instance: ServiceConfiguration,
    scenario: Callable[[Systemd, aiohttp.ClientSession], Awaitable[None]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Serve beside the scenario, whose signal must end the instance."""
    systemd = Systemd(folder)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)

    async def both() -> None:
        base = f"http://127.0.0.1:{instance.port}"
        async with asyncio.timeout(LIMIT_SECONDS), aiohttp.ClientSession(base) as client:
            serving = asyncio.ensure_future(serve(instance))
            await scenario(systemd, client)
            await serving

    try:
        asyncio.run(both())
    finally:
        systemd.close()


async def users(client: aiohttp.ClientSession) -> int:
    """How many clients have begun a request, as the health answer says."""
    async with client.get("/health") as answer:
        return int((await answer.json())["metrics"]["concurrent_users"])


def test_sigterm_finishes_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(systemd: Systemd, client: aiohttp.ClientSession) -> None:
        await systemd.until("READY=1")
        request = asyncio.ensure_future(client.get("/?delay_ms=300"))
        while not await users(client):
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await systemd.until("STOPPING=1")
        async with await request as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/health")

    live(configuration(), scenario, tmp_path, monkeypatch)


def test_a_request_that_takes_too_long_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(systemd: Systemd, client: aiohttp.ClientSession) -> None:
        await systemd.until("READY=1")
        request = asyncio.ensure_future(client.get("/?delay_ms=60000"))
        while not await users(client):
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(aiohttp.ClientConnectionError):
            await request

    live(replace(configuration(), shutdown_timeout=0.3), scenario, tmp_path, monkeypatch)


def test_a_slow_start_asks_systemd_for_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(systemd: Systemd, client: aiohttp.ClientSession) -> None:
        await systemd.until("READY=1")
        assert systemd.heard[0] == "EXTEND_TIMEOUT_USEC=15050000"
        async with client.get("/health") as answer:
            assert answer.status == 200
        os.kill(os.getpid(), signal.SIGTERM)

    live(configuration(Switches(start_delay=0.05)), scenario, tmp_path, monkeypatch)


def test_an_instance_that_never_gets_ready_is_not_healthy_and_ends_at_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")

    async def scenario(systemd: Systemd, client: aiohttp.ClientSession) -> None:
        await systemd.until("WATCHDOG=1")
        async with client.get("/health") as answer:
            assert answer.status == 503
            assert (await answer.json())["status"] == "starting"
        os.kill(os.getpid(), signal.SIGTERM)
        await systemd.until("STOPPING=1")
        assert "READY=1" not in systemd.heard

    live(configuration(Switches(never_ready=True)), scenario, tmp_path, monkeypatch)


def test_a_taken_port_is_one_sentence() -> None:
    instance = configuration()
    with socket.socket() as other:
        other.bind(("127.0.0.1", instance.port))
        other.listen()
        with pytest.raises(ListenError, match=f"127.0.0.1 port {instance.port}: Address already"):
            asyncio.run(serve(instance))
