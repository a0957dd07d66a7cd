"""HAProxy of this host: instances enter and leave the servers that its configuration keeps free.

A server of the configuration stands for one port: NAME-PORT for the instance NAME@PORT. All is done
over the runtime API, so nothing is reloaded; what it says about servers is kept in a file that
HAProxy reads when it starts or reloads.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellwerk.host.control_group import CONTROL_GROUPS
from stellwerk.instances.agent.files import replace
from stellwerk.instances.agent.liveness import is_running
from stellwerk.instances.agent.pace import Pace
from stellwerk.instances.agent.rotation import Addresses, Rotation, packed
from stellwerk.instances.agent.runtime_api import HaproxyAwayError, Look, RuntimeApi, Server
from stellwerk.instances.configuration import AgentConfiguration, ServiceFigures
from stellwerk.instances.model import InstanceKey, Seen, Sighting, Snapshot

_logger = logging.getLogger(__name__)

SOCKET: Final = Path("/run/haproxy/admin.sock")
BRIDGE: Final = "haproxy-bridge@.service"
"""The unit of a HAProxy that serves while haproxy.service is restarted."""
STATE_FILE: Final = "haproxy.state"
"""In the agent's state folder: what HAProxy reads about its servers when it starts."""

_BRIDGES: Final = f"system.slice/{BRIDGE.replace('@', '@*')}/cgroup.procs"
_WORKERS_FILE: Final = "haproxy-workers.json"
_ANSWER_SECONDS: Final = 1.5  # for all questions of one convergence
_REFUSAL_SECONDS: Final = 0.2
_ROUNDS: Final = 3  # drain, and maintenance for what was idle; then all is as it can be for now


def server_name(key: InstanceKey) -> str:
    """The server that stands for an instance."""
    return f"{key.service}-{key.port}"


def steps(server: Server, key: InstanceKey, address: str | None) -> tuple[str, ...]:
    """The commands that bring a server nearer to having an instance in rotation at `address`, or to
    being out of it (None). None at all: it is there, or something has to end first.
    """
    place = f"set server {server.backend}/{server.name}"
    here = (
        address is not None
        and server.port == key.port
        and packed(server.address) == packed(address)
    )
    if here and server.draining:
        return (f"{place} state ready",)  # its checks went on meanwhile
    if here and server.open:
        return ()
    if server.maintenance:
        return () if address is None else tuple(_entry(place, key, address))
    if server.open:
        return (f"{place} state drain",)
    return () if server.active else (f"{place} state maint",)


def _entry(place: str, key: InstanceKey, address: str) -> Iterator[str]:
    """A server that leaves maintenance counts as up. So it goes through drain, where it gets
    nothing, and is set down there: it comes up by its own checks only.
    """
    yield f"{place} addr {address} port {key.port}"
    yield f"{place} state drain"
    yield f"{place} health down"
    yield f"{place} state ready"


@dataclass(frozen=True)
class _Count:
    """Requests and errors of a server at its entry into rotation, or carried over a reload."""

    requests: int
    errors: int


class Haproxy:
    """Brings HAProxy to the ledger's instances; see `Balancers`."""

    def __init__(
        self,
        configuration: AgentConfiguration,
        state: Path,
        admin_socket: Path = SOCKET,
        control_groups: Path = CONTROL_GROUPS,
    ) -> None:
        self._host = configuration.host
        self._services = {
            name: figures
            for name, figures in configuration.services.items()
            if figures.balancer == "haproxy"
        }
        self._api = RuntimeApi(admin_socket)
        self._state_file = state / STATE_FILE
        self._written: object = None
        self._workers = _Workers(state / _WORKERS_FILE, control_groups)
        self._rotation = Rotation(configuration.lost_after)
        self._counters = _Counters()
        self._pace = Pace()
        self._said: set[str] = set()

    @property
    def pause(self) -> float:
        """Time in seconds after which to converge again though nothing is told."""
        return self._pace.pause

    async def converge(self, snapshot: Snapshot) -> Sequence[Sighting]:
        """Take the next steps towards the snapshot; how each instance in it is seen."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                look = await self._bring_about(snapshot)
        except (HaproxyAwayError, TimeoutError) as error:
            self._say(f"HAProxy does not answer, so nothing enters or leaves it: {_why(error)}")
            self._pace.look(None, settled=False)
            gone = isinstance(error, HaproxyAwayError) and error.gone
            return await self._sightings_without(snapshot) if gone else []
        self._said -= {one for one in self._said if one.startswith("HAProxy does not answer")}
        self._keep(look)
        sightings = list(self._sightings(snapshot, look))
        unsettled = {Seen.DOWN, Seen.DRAINING}
        self._pace.look(
            [(one.key, one.seen, one.active) for one in sightings if one.seen in unsettled],
            settled=not any(one.seen in unsettled for one in sightings),
        )
        return sightings

    async def _bring_about(self, snapshot: Snapshot) -> Look:
        look = await self._look()
        wanted = {
            name: self._rotation.wanted(snapshot, name, _present(look, figures))
            for name, figures in self._services.items()
        }
        for _ in range(_ROUNDS):
            commands = self._commands(look, wanted)
            if not commands:
                break
            for command in commands:
                _logger.info("HAProxy: %s", command)
            await self._api.tell(commands)
            look = await self._look()
        return look

    async def _look(self) -> Look:
        look = await self._api.look()
        self._workers.look(look)
        self._counters.look(look)
        return look

    def _commands(self, look: Look, wanted: Mapping[str, Addresses]) -> list[str]:
        found: list[str] = []
        for name, figures in self._services.items():
            for key, server in _servers(look, figures):
                commands = steps(server, key, wanted[name].get(key.port))
                if server.maintenance and commands:
                    self._counters.start(server)
                found += commands
            for port in wanted[name].keys() - {key.port for key, _ in _servers(look, figures)}:
                self._say(
                    f"HAProxy has no server {name}-{port} in backend {figures.backend}:"
                    " run the deploy for this host"
                )
        return found

    def _sightings(self, snapshot: Snapshot, look: Look) -> Iterator[Sighting]:
        for key, figures in self._keys(snapshot):
            name = server_name(key)
            server = look.servers.get((str(figures.backend), name))
            in_old_worker = self._workers.may_serve(name)
            if server is None:
                seen = Seen.DRAINING if in_old_worker else Seen.OUT
                yield Sighting(key, self._host, seen)
                continue
            count = self._counters.of(server)
            yield Sighting(
                key,
                self._host,
                _seen(server, in_old_worker),
                active=server.active,
                requests=count.requests,
                errors=count.errors,
            )

    async def _sightings_without(self, snapshot: Snapshot) -> list[Sighting]:
        """Of a HAProxy that has ended; nothing while a process of it may still serve."""
        if self._workers.any_runs() or not await self._refuses():
            return []
        return [
            Sighting(
                key,
                self._host,
                Seen.DOWN if snapshot.instances[key].wanted_in_rotation else Seen.OUT,
            )
            for key, _ in self._keys(snapshot)
        ]

    async def _refuses(self) -> bool:
        """Whether no port of HAProxy's takes connections."""
        for figures in self._services.values():
            try:
                async with asyncio.timeout(_REFUSAL_SECONDS):
                    _, writer = await asyncio.open_connection("127.0.0.1", figures.listen_port)
            except ConnectionRefusedError:
                continue
            except (OSError, TimeoutError):
                return False
            writer.close()
            return False
        return True

    def _keys(self, snapshot: Snapshot) -> Iterator[tuple[InstanceKey, ServiceFigures]]:
        for key in snapshot.instances:
            figures = self._services.get(key.service)
            if figures is not None:
                yield key, figures

    def _keep(self, look: Look) -> None:
        """Write what HAProxy is to start with, when it has changed."""
        states = {
            (key, server.address, server.port, server.maintenance, server.draining, server.up)
            for key, server in look.servers.items()
        }
        try:
            self._workers.write()
            if states != self._written or not self._state_file.exists():
                replace(self._state_file, look.state)
                self._written = states
        except OSError as error:
            self._say(
                f"{self._state_file.parent}: {error.strerror}; a HAProxy that is restarted now"
                " starts with an older state of its servers"
            )

    def _say(self, sentence: str) -> None:
        """Log once what would be said again at every turn."""
        if sentence not in self._said:
            self._said.add(sentence)
            _logger.warning("%s", sentence)


class _Counters:
    """Requests and errors since a server's last entry into rotation, over HAProxy's reloads."""

    def __init__(self) -> None:
        self._pid = 0
        self._seen: dict[tuple[str, str], _Count] = {}
        self._before: dict[tuple[str, str], _Count] = {}  # to be taken off what HAProxy says

    def look(self, look: Look) -> None:
        if look.pid != self._pid and self._pid:
            self._before = {key: self._carried(key) for key in self._seen}
        self._pid = look.pid
        self._seen = {
            key: _Count(server.requests, server.errors) for key, server in look.servers.items()
        }
        for key, count in self._seen.items():
            self._before.setdefault(key, count)

    def start(self, server: Server) -> None:
        self._before[server.backend, server.name] = _Count(server.requests, server.errors)

    def of(self, server: Server) -> _Count:
        before = self._before[server.backend, server.name]
        return _Count(server.requests - before.requests, server.errors - before.errors)

    def _carried(self, key: tuple[str, str]) -> _Count:
        """What was counted so far, as less than nothing of a process that counts from 0."""
        seen, before = self._seen[key], self._before[key]
        return _Count(before.requests - seen.requests, before.errors - seen.errors)


class _Workers:
    """HAProxy's processes: after a reload the one of before still ends the connections it has, and
    knows nothing of what leaves meanwhile. So does the bridge of a restart, which came and went
    perhaps between two looks. Kept in a file over the agent's own restart.
    """

    def __init__(self, path: Path, control_groups: Path) -> None:
        self._path = path
        self._control_groups = control_groups
        self._pid = 0
        self._open: frozenset[str] = frozenset()  # the servers that may have requests
        self._old: dict[int, frozenset[str]] = {}
        self._written: object = None
        self._read()

    def look(self, look: Look) -> None:
        if self._pid not in (0, look.pid):
            self._old[self._pid] = self._open
        for pid in self._bridges():
            self._old.setdefault(pid, self._open)
        self._old = {
            pid: names
            for pid, names in self._old.items()
            if pid != look.pid and is_running(pid, "haproxy")
        }
        self._pid = look.pid
        self._open = frozenset(
            server.name for server in look.servers.values() if not server.maintenance
        )

    def may_serve(self, name: str) -> bool:
        """Whether a process of before may still send requests to a server."""
        return any(name in names for names in self._old.values())

    def any_runs(self) -> bool:
        return any(is_running(pid, "haproxy") for pid in (self._pid, *self._old) if pid)

    def _bridges(self) -> Iterator[int]:
        for path in self._control_groups.glob(_BRIDGES):
            with suppress(OSError):  # it has just ended
                yield from map(int, path.read_text(encoding="utf-8").split())

    def write(self) -> None:
        document = {
            "pid": self._pid,
            "open": sorted(self._open),
            "old": {str(pid): sorted(names) for pid, names in self._old.items()},
        }
        if document != self._written:
            replace(self._path, json.dumps(document, indent=1) + "\n")
            self._written = document

    def _read(self) -> None:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            pid, names = int(document["pid"]), frozenset(document["open"])
            old = {int(one): frozenset(names) for one, names in document["old"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return  # the first start, or a file that was cut off
        self._pid, self._open, self._old = pid, names, old


def _servers(look: Look, figures: ServiceFigures) -> Iterator[tuple[InstanceKey, Server]]:
    """The servers of a service's ports, with the instance each stands for."""
    for port in figures.ports:
        key = InstanceKey(figures.name, port)
        server = look.servers.get((str(figures.backend), server_name(key)))
        if server is not None:
            yield key, server


def _present(look: Look, figures: ServiceFigures) -> Addresses:
    return {key.port: one.address for key, one in _servers(look, figures) if one.open}


def _seen(server: Server, in_old_worker: bool) -> Seen:
    if server.open:
        return Seen.UP if server.up else Seen.DOWN
    return Seen.DRAINING if server.draining or in_old_worker else Seen.OUT


def _why(error: Exception) -> str:
    return str(error) or f"no answer within {_ANSWER_SECONDS:g} s"
