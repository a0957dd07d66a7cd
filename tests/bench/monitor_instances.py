"""Instances to look at: `python -m tests.bench.monitor_instances FOLDER FIRST_PORT`.

A systemd on a bus of its own knows them; health answers come from this one process. What the kernel
would say of their control groups lies in files.
"""

import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbus_fast import Variant

from tests.unit.instances.fake_systemd import FakeSystemd, FakeUnit, bus

INSTANCES = 20
GROUPS = "groups"
ADDRESS = "address"

_BODY = json.dumps({"metrics": {f"number_{number}": 1.5 for number in range(6)}}).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_MEMORY = "".join(f"{name} 12345\n" for name in ("anon", "file", "kernel", *"abcdefghijklmnopqrst"))


class HealthServer(asyncio.Protocol):
    """Answers every read with the same numbers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        self._transport.write(_ANSWER % (len(_BODY), _BODY))


@dataclass
class Systemd(FakeSystemd):
    """Units that have control groups."""

    def _property(self, name: str, wanted: str) -> Variant:
        return (
            Variant("s", f"/{name}")
            if wanted == "ControlGroup"
            else super()._property(name, wanted)
        )


async def main(folder: Path, first_port: int) -> None:
    """Serve until SIGTERM; a line on standard output says that all is there."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    with bus(folder) as address:
        systemd = Systemd(folder, folder)
        loop: Any = asyncio.get_running_loop()
        for port in range(first_port, first_port + INSTANCES):
            name = f"shop@{port}.service"
            systemd.units[name] = FakeUnit(name, "active", b"1" * 16, since=1, result="success")
            group = folder / GROUPS / name
            group.mkdir(parents=True)
            (group / "cpu.stat").write_text("usage_usec 1000\nuser_usec 500\nsystem_usec 500\n")
            (group / "memory.stat").write_text(_MEMORY)
            await loop.create_server(HealthServer, "127.0.0.1", port)
        async with systemd.served(address):
            (folder / ADDRESS).write_text(address)
            print("ready", flush=True)
            await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
