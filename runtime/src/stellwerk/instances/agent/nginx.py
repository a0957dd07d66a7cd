"""nginx of this host: instances enter and leave its upstreams by a reload that a unit of root does.

The agent says in a file which servers it wants. Root's tool, deploys/host/nginx_upstreams.py,
judges it, writes the files that nginx includes, reloads, and says in another file what came of it.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stellwerk.host.growing_file import GrowingFile
from stellwerk.host.systemd import UnitError, UnitStarter
from stellwerk.instances.agent.access_log import attempts
from stellwerk.instances.agent.files import replace
from stellwerk.instances.agent.liveness import is_running
from stellwerk.instances.agent.pace import Pace
from stellwerk.instances.agent.rotation import Addresses, Rotation
from stellwerk.instances.configuration import AgentConfiguration, ServiceFigures
from stellwerk.instances.model import InstanceKey, RolloutState, Seen, Sighting, Snapshot

_logger = logging.getLogger(__name__)

APPLY_UNIT: Final = "stellwerk-nginx-apply.service"
REQUEST_FILE: Final = "nginx-upstreams.json"
"""In the agent's state folder: what root's tool reads."""

_SERVER: Final = re.compile(
    r"^\s*server\s+(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+):(?P<port>\d+)(?P<rest>[^;]*);", re.M
)
_RETRY_SECONDS: Final = 5.0  # after a refusal, doubling
_RETRY_AT_MOST_SECONDS: Final = 60.0
_APPLYING_SECONDS: Final = 0.2  # time between two looks while root's unit runs
_FAST_SECONDS: Final = 0.5  # root's unit mostly ends within it


@dataclass(frozen=True)
class Paths:
    """Where nginx's files are; only tests have others."""

    upstreams: Path = Path("/etc/nginx/stellwerk")
    allowed: Path = Path("/etc/stellwerk/nginx-upstreams.json")
    result: Path = Path("/run/stellwerk-nginx/result.json")
    pid: Path = Path("/run/nginx.pid")
    access_log: Path = Path("/var/log/nginx/access.log")


@dataclass(frozen=True)
class _Result:
    """What root's tool said last.

    `entering`: servers nginx has yet to be reloaded for; `leaving`: the processes that may still
    send requests to a server that was taken out. By upstream, and servers by port.
    """

    reloaded: bool = True
    error: str = ""
    entering: Mapping[str, Sequence[int]] = field(default_factory=dict)
    leaving: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)


class Nginx:
    """Brings nginx to the ledger's instances; see `Balancers`.

    Changes that come together make one reload, and two reloads are an interval apart: each gives
    clients with idle connections a chance to meet one that closes.
    """

    def __init__(
        self,
        configuration: AgentConfiguration,
        state: Path,
        units: UnitStarter,
        paths: Paths = Paths(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = configuration.host
        self._services = {
            name: figures
            for name, figures in configuration.services.items()
            if figures.balancer == "nginx"
        }
        self._paths = paths
        self._rotation = Rotation(configuration.lost_after, clock)
        self._reload = _Reload(
            state / REQUEST_FILE, units, configuration.nginx_reload_interval, clock
        )
        self._counters = _Counters(paths.access_log, self._services)
        self._pace = Pace(clock)
        self._said: set[str] = set()

    @property
    def pause(self) -> float:
        """Time in seconds after which to converge again though nothing is told."""
        return min(self._pace.pause, self._reload.pause)

    async def converge(self, snapshot: Snapshot) -> Sequence[Sighting]:
        """Take the next steps towards the snapshot; how each instance in it is seen."""
        await self._reload.look()
        present = {name: self._present(figures) for name, figures in self._services.items()}
        wanted = {
            name: self._allowed(name, self._rotation.wanted(snapshot, name, there), there)
            for name, there in present.items()
        }
        result = self._result()
        if wanted == present and result.reloaded:
            self._reload.forget()
        else:
            await self._reload.ask(self._document(wanted), lambda: self._result().error)
            result = self._result()
            present = {name: self._present(figures) for name, figures in self._services.items()}
        sightings = list(self._sightings(snapshot, present, result))
        states = [(one.key, one.seen) for one in sightings]
        settled = not any(one.seen in (Seen.DOWN, Seen.DRAINING) for one in sightings)
        self._pace.look(states, settled)
        return sightings

    def _present(self, figures: ServiceFigures) -> Addresses:
        """The servers that nginx's files name."""
        try:
            text = (self._paths.upstreams / f"{figures.backend}.servers").read_text()
        except OSError:
            return {}
        return {
            int(found["port"]): found["address"].strip("[]")
            for found in _SERVER.finditer(text)
            if "down" not in found["rest"].split()
        }

    def _allowed(self, service: str, wanted: Addresses, present: Addresses) -> Addresses:
        """Without new servers on hosts that this one was not told of by a deploy."""
        known = self._known_addresses()
        found = {
            port: address
            for port, address in wanted.items()
            if address in known or present.get(port) == address
        }
        for port in sorted(wanted.keys() - found.keys()):
            self._say(
                f"{service}@{port} is left out of nginx: the last deploy here knew no app host"
                f" {wanted[port]}; run the deploy for this host"
            )
        return found

    def _known_addresses(self) -> frozenset[str]:
        try:
            return frozenset(_read(self._paths.allowed)["addresses"])
        except (KeyError, TypeError):
            return frozenset()

    def _document(self, wanted: Mapping[str, Addresses]) -> str:
        upstreams = {
            str(figures.backend): sorted([port, address] for port, address in wanted[name].items())
            for name, figures in sorted(self._services.items())
        }
        return json.dumps({"upstreams": upstreams}, indent=1) + "\n"

    def _result(self) -> _Result:
        try:
            return _Result(**_read(self._paths.result))
        except TypeError:
            return _Result()

    def _sightings(
        self, snapshot: Snapshot, present: Mapping[str, Addresses], result: _Result
    ) -> Iterator[Sighting]:
        runs = self._runs()
        self._counters.look(snapshot, present)
        for key in snapshot.instances:
            figures = self._services.get(key.service)
            if figures is None:
                continue
            workers = result.leaving.get(str(figures.backend), {}).get(str(key.port), ())
            if key.port in present[key.service]:
                enters = key.port in result.entering.get(str(figures.backend), ())
                seen = Seen.UP if runs and not enters else Seen.DOWN
            elif any(is_running(pid, "nginx") for pid in workers):
                seen = Seen.DRAINING
            else:
                seen = Seen.OUT
            requests, errors = self._counters.of(key)
            yield Sighting(key, self._host, seen, requests=requests, errors=errors)

    def _runs(self) -> bool:
        try:
            return is_running(int(self._paths.pid.read_text()), "nginx")
        except (OSError, ValueError):
            return False

    def _say(self, sentence: str) -> None:
        """Log once what would be said again at every turn."""
        if sentence not in self._said:
            self._said.add(sentence)
            _logger.warning("%s", sentence)


class _Reload:
    """Has root's unit apply requests: one at a time, an interval apart, slower after a refusal."""

    def __init__(
        self, request: Path, units: UnitStarter, interval: float, clock: Callable[[], float]
    ) -> None:
        self._request = request
        self._units = units
        self._interval = interval
        self._clock = clock
        self._task: asyncio.Task[str] | None = None
        self._asked = ""
        self._why: Callable[[], str] = str
        self._not_before = float("-inf")
        self._refusals = 0
        self._waiting = False

    @property
    def pause(self) -> float:
        if self._task is not None:
            return _APPLYING_SECONDS
        if self._waiting:
            return max(0.05, self._not_before - self._clock())
        return float("inf")

    def forget(self) -> None:
        """Nothing is wanted any more."""
        self._waiting = False

    async def ask(self, document: str, why: Callable[[], str]) -> None:
        """Have what `document` wants applied, now or as soon as it may be; `why` says after a
        refusal what was wrong.
        """
        if document != self._asked and self._refusals:
            self._refusals, self._not_before = 0, self._clock()
        self._waiting = True
        if self._task is not None or self._clock() < self._not_before:
            return
        self._waiting = False
        self._asked, self._why = document, why
        self._not_before = self._clock() + self._interval
        try:
            replace(self._request, document)
        except OSError as error:
            self._refused(f"{self._request}: {error.strerror}")
            return
        self._task = asyncio.create_task(self._start())
        await self.look(_FAST_SECONDS)

    async def look(self, seconds: float = 0) -> None:
        """Take the result of a request that has ended, waiting for so long at most."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        if not self._task.done():
            return
        problem, self._task = self._task.result(), None
        if problem:
            self._refused(self._why() or problem)
        else:
            self._refusals = 0

    async def _start(self) -> str:
        """Why the unit did not do it; empty when it did."""
        try:
            result = await self._units.start(APPLY_UNIT)
        except UnitError as error:
            return str(error)
        return "" if result == "done" else f"{APPLY_UNIT} ended with {result}; see its journal"

    def _refused(self, problem: str) -> None:
        pause = min(_RETRY_SECONDS * 2**self._refusals, _RETRY_AT_MOST_SECONDS)
        self._refusals = min(self._refusals + 1, 10)
        self._not_before = self._clock() + pause
        self._waiting = True
        _logger.warning("nginx keeps its servers: %s; next try in %g s", problem, pause)


class _Counters:
    """Requests and errors of instances of services that roll, from nginx's access log.

    The log is read only while a roll-out runs: nobody judges the counts at other times.
    """

    def __init__(self, log: Path, services: Mapping[str, ServiceFigures]) -> None:
        self._log = GrowingFile(log)
        self._services = {str(figures.backend): name for name, figures in services.items()}
        self._reads = False
        self._present: frozenset[InstanceKey] = frozenset()
        self._counts: dict[InstanceKey, tuple[int, int]] = {}

    def look(self, snapshot: Snapshot, present: Mapping[str, Addresses]) -> None:
        """Count what was logged since; an instance that has entered begins at nothing."""
        rolls = any(
            one.state is RolloutState.RUNNING and one.service in present
            for one in snapshot.rollouts.values()
        )
        if rolls and not self._reads:
            self._log.open_at_end()
            self._counts = {}
        elif rolls:
            self._count()
        elif self._reads:
            self._log.close()
        self._reads = rolls
        there = frozenset(
            InstanceKey(name, port) for name, ports in present.items() for port in ports
        )
        for key in there - self._present:
            self._counts.pop(key, None)
        self._present = there

    def of(self, key: InstanceKey) -> tuple[int, int]:
        return self._counts.get(key, (0, 0))

    def _count(self) -> None:
        for line in self._log.lines():
            for attempt in attempts(line.decode(errors="replace")):
                name = self._services.get(attempt.upstream)
                port = attempt.address.rpartition(":")[2]
                if name is not None and port.isdigit():
                    key = InstanceKey(name, int(port))
                    requests, errors = self.of(key)
                    self._counts[key] = (requests + 1, errors + attempt.failed)


def _read(path: Path) -> Any:
    """A JSON document that root has written; nothing where there is none yet."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
