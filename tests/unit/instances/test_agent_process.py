"""The agent as a process: what it imports, what it tells systemd, how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.instances.fake_systemd import FakeSystemd, bus
from tests.unit.instances.ledger_server import LedgerServer
from tests.unit.instances.test_agent import PATIENCE, configured

pytestmark = pytest.mark.programs


def test_the_agent_starts_without_the_libraries_that_would_be_most_of_its_memory() -> None:
    program = (
        "import sys, stellwerk.instances.agent.__main__, stellwerk.instances.agent.balancer;"
        "print([name for name in ('pydantic', 'aiohttp', 'ssl', '_hashlib', 'click', 'yaml')"
        " if sys.modules.get(name)])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_a_missing_configuration_is_one_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "agent.json")
    program = "from stellwerk.cli import main; main()"
    command = [sys.executable, "-c", program, "agent", "--configuration", missing]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr == f"Error: {missing}: cannot be read: No such file or directory\n"


def test_without_a_ledger_it_is_ready_says_since_when_nothing_moves_and_ends_on_sigterm(
    deployed: LedgerServer, tmp_path: Path
) -> None:
    configuration = configured(deployed, 21000)
    away = configuration.document().replace(configuration.ledger.host, str(tmp_path))
    (tmp_path / "agent.json").write_text(away)

    async def run() -> tuple[list[str], int]:
        systemd = FakeSystemd(tmp_path, tmp_path)
        with bus(tmp_path) as address, _notify_socket(tmp_path) as told:
            async with systemd.served(address):
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "stellwerk.instances.agent"),
                    *(str(tmp_path / "agent.json"), str(tmp_path)),
                    env={
                        **os.environ,
                        "DBUS_SYSTEM_BUS_ADDRESS": address,
                        "NOTIFY_SOCKET": str(tmp_path / "notify"),
                    },
                    stderr=asyncio.subprocess.DEVNULL,
                )
                heard: list[str] = []
                async with asyncio.timeout(PATIENCE):
                    while "READY=1" not in heard:
                        heard += await _hear(told)
                    process.send_signal(signal.SIGTERM)
                    code = await process.wait()
                    heard += await _hear(told)
                return heard, code

    heard, code = asyncio.run(run())
    assert code == 0
    (status,) = (one for one in heard if one.startswith("STATUS="))
    assert "nothing moves: The ledger in PostgreSQL at" in status
    assert heard[-1] == "STOPPING=1"


def _notify_socket(folder: Path) -> socket.socket:
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(folder / "notify"))
    told.setblocking(False)
    return told


async def _hear(told: socket.socket) -> list[str]:
    return (await asyncio.get_running_loop().sock_recv(told, 4096)).decode().splitlines()
