"""systemd for tests: the part of its D-Bus interface that the agent uses, on a bus of its own.

Instances are little HTTP servers in this process; what one answers depends on its generation. The
pin units do what root's would.
"""

import asyncio
import fnmatch
import itertools
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from stellwerk.host.systemd import unit_name
from stellwerk.instances.model import InstanceKey

NAME: Final = "org.freedesktop.systemd1"
MANAGER: Final = "org.freedesktop.systemd1.Manager"
ROOT: Final = "/org/freedesktop/systemd1"

_CONFIGURATION: Final = """<busconfig><type>session</type><listen>unix:path={socket}</listen>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>"""


@contextmanager
def bus(folder: Path) -> Iterator[str]:
    """The address of a bus that only this test knows."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon is installed here")
    configuration, socket = folder / "bus.conf", folder / "bus"
    configuration.write_text(_CONFIGURATION.format(socket=socket))
    command = ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        try:
            yield address
        finally:
            daemon.terminate()


@dataclass
class FakeUnit:
    """A unit that is known."""

    name: str
    state: str = "inactive"
    invocation: bytes = b""
    since: int = 0
    restarts: int = 0
    result: str = "success"
    server: asyncio.Server | None = None

    @property
    def path(self) -> str:
        escaped = "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in self.name)
        return f"{ROOT}/unit/{escaped}"


@dataclass
class FakeSystemd:
    """The manager, and what instances answer: `answers` has a status for each generation that is
    not healthy, `refused` the units that polkit does not let be started.
    """

    units_folder: Path
    generations_folder: Path
    units: dict[str, FakeUnit] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    crashing: set[str] = field(default_factory=set)  # generations that never say READY=1
    refused: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    boot: int = 1

    def __post_init__(self) -> None:
        self._jobs = itertools.count(1)
        self._bus: MessageBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def served(self, address: str) -> AsyncIterator["FakeSystemd"]:
        """Answer on the bus for the time of the context."""
        self._bus = await MessageBus(bus_address=address).connect()
        self._bus.add_message_handler(self._hear)
        await self._bus.request_name(NAME)
        try:
            yield self
        finally:
            for unit in self.units.values():
                self._end(unit)
            self._bus.disconnect()

    # What tests look at and do.

    def pin(self, key: InstanceKey) -> str | None:
        """The generation that an instance is pinned to."""
        link = self.units_folder / key.unit
        return link.readlink().parent.name if link.is_symlink() else None

    def running(self) -> set[str]:
        return {name for name, unit in self.units.items() if unit.state == "active"}

    async def crash(self, name: str) -> None:
        """The process dies, and systemd starts it again."""
        unit = self.units[name]
        self._end(unit)
        unit.restarts += 1
        await self._launch(unit)

    # The interface.

    def _hear(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.path is None:
            return False
        if not message.path.startswith(ROOT):
            return False
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, message: Message) -> None:
        assert self._bus is not None
        body = message.body
        match message.member:
            case "Subscribe":
                self._reply(message, "", [])
            case "Get" if message.path == ROOT:
                self._reply(message, "v", [Variant("t", self.boot)])
            case "Get":
                self._reply(message, "v", [self._property(unit_name(message.path or ""), body[1])])
            case "ListUnitsByPatterns":
                known = [
                    [one.name, "", "loaded", one.state, "", "", one.path, 0, "", "/"]
                    for one in self.units.values()
                    if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in body[1])
                ]
                self._reply(message, "a(ssssssouso)", [known])
            case "StartUnit" | "StopUnit" if body[0] in self.refused:
                denied = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
                self._bus.send(Message.new_error(message, denied, "Access denied"))
            case "StartUnit" | "StopUnit":
                await self._job(message, str(message.member), body[0])
            case "ResetFailedUnit":
                self.calls.append(("ResetFailedUnit", body[0]))
                self.units.pop(body[0], None)
                self._reply(message, "", [])

    async def _job(self, message: Message, member: str, name: str) -> None:
        self.calls.append((member, name))
        number = next(self._jobs)
        job = f"{ROOT}/job/{number}"
        self._reply(message, "o", [job])
        result = await (self.start(name) if member == "StartUnit" else self._stop(name))
        self._signal(ROOT, MANAGER, "JobRemoved", "uoss", [number, job, name, result])

    async def start(self, name: str) -> str:
        """Start a unit; the result of the job."""
        kind, _, rest = name.removesuffix(".service").partition("@")
        if kind == "stellwerk-pin":
            service, port, generation = rest.split(":")
            link = self.units_folder / f"{service}@{port}.service"
            link.unlink(missing_ok=True)
            link.symlink_to(self.generations_folder / service / generation / f"{service}@.service")
            return "done"
        if kind == "stellwerk-unpin":
            service, port = rest.split(":")
            (self.units_folder / f"{service}@{port}.service").unlink(missing_ok=True)
            return "done"
        return await self._launch(self.units.setdefault(name, FakeUnit(name)))

    async def _launch(self, unit: FakeUnit) -> str:
        service, _, port = unit.name.removesuffix(".service").partition("@")
        key = InstanceKey(service, int(port))
        generation = self.pin(key)
        unit.invocation = next(self._jobs).to_bytes(16, "big")
        if generation is None or generation in self.crashing:
            unit.result = "exit-code"
            self._change(unit, "failed")
            return "failed"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            status = self.answers.get(generation, 200)
            writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

        unit.server = await asyncio.start_server(answer, "127.0.0.1", key.port)
        unit.since = int(time.monotonic() * 1_000_000)
        self._change(unit, "active")
        return "done"

    async def _stop(self, name: str) -> str:
        unit = self.units.get(name)
        if unit is not None:
            self._end(unit)
            self._change(unit, "inactive")
            del self.units[name]
        return "done"

    def _end(self, unit: FakeUnit) -> None:
        if unit.server is not None:
            unit.server.close()
            unit.server = None

    def _property(self, name: str, wanted: str) -> Variant:
        unit = self.units.get(name, FakeUnit(name))
        values: dict[str, tuple[str, Any]] = {
            "InvocationID": ("ay", unit.invocation),
            "ActiveEnterTimestampMonotonic": ("t", unit.since),
            "NRestarts": ("u", unit.restarts),
            "Result": ("s", unit.result),
            "ControlGroup": ("s", ""),
        }
        return Variant(*values[wanted])

    def _change(self, unit: FakeUnit, state: str) -> None:
        unit.state = state
        changed = [f"{NAME}.Unit", {"ActiveState": Variant("s", state)}, []]
        properties = "org.freedesktop.DBus.Properties"
        self._signal(unit.path, properties, "PropertiesChanged", "sa{sv}as", changed)

    def _reply(self, message: Message, signature: str, body: list[Any]) -> None:
        assert self._bus is not None
        self._bus.send(Message.new_method_return(message, signature, body))

    def _signal(
        self, path: str, interface: str, member: str, signature: str, body: list[Any]
    ) -> None:
        assert self._bus is not None
        self._bus.send(Message.new_signal(path, interface, member, signature, body))
