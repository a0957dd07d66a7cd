"""HAProxy's runtime API: questions over its admin socket, and servers as it reports them."""

import asyncio
import contextlib
import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BRIDGE_VARIABLE: Final = "STELLWERK_BRIDGE"
"""In the environment of a HAProxy that serves while haproxy.service is restarted."""

_LOOK: Final = "show info;show servers state;show stat -1 4 -1"  # of all proxies, servers only
_Row = Mapping[str, str]

# Bits of srv_admin_state that the runtime API sets, and the values of srv_op_state that take
# requests: HAProxy's management guide does not list them, its include/haproxy/server-t.h does.
_FORCED_MAINTENANCE: Final = 0x01
_FORCED_DRAIN: Final = 0x08
_TAKES_REQUESTS: Final = ("1", "2")  # starting (in its slow start), running


class HaproxyAwayError(Exception):
    """HAProxy did not answer. `gone`: there is nobody to answer, so its process has ended."""

    def __init__(self, reason: str, *, gone: bool) -> None:
        super().__init__(reason)
        self.gone = gone


@dataclass(frozen=True)
class Server:
    """A server as HAProxy has it. Counts are since HAProxy's process started."""

    backend: str
    name: str
    address: str
    port: int
    maintenance: bool  # no requests, no health checks
    draining: bool  # no new requests; health checks go on
    up: bool
    active: int  # requests running on it or waiting for it
    requests: int
    errors: int  # answers with 5xx or none

    @property
    def open(self) -> bool:
        """Whether it may get requests as far as its administrative state goes."""
        return not (self.maintenance or self.draining)


@dataclass(frozen=True)
class Look:
    """All servers by backend and name, at one moment of one HAProxy process."""

    pid: int
    servers: Mapping[tuple[str, str], Server]
    state: str  # as a server-state file holds it


class RuntimeApi:
    """HAProxy's admin socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def look(self) -> Look:
        """What HAProxy has now. Raises HaproxyAwayError."""
        return parse(await self._ask(_LOOK))

    async def tell(self, commands: Iterable[str]) -> str:
        """Have commands carried out in order; what HAProxy said. Raises HaproxyAwayError."""
        return await self._ask(";".join(commands))

    async def _ask(self, line: str) -> str:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise HaproxyAwayError(f"{self._socket}: {error.strerror}", gone=True) from None
        except OSError as error:
            raise HaproxyAwayError(f"{self._socket}: {error.strerror}", gone=False) from None
        try:
            writer.write(f"{line}\n".encode())
            return (await reader.read(-1)).decode(errors="replace")
        except OSError as error:
            raise HaproxyAwayError(f"{self._socket}: {error.strerror}", gone=False) from None
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def parse(said: str) -> Look:
    """The answer to `show info;show servers state;show stat -1 4 -1`. Raises HaproxyAwayError."""
    try:
        info, state, statistics = (part for part in said.split("\n\n") if part.strip())
        counted = {(row["# pxname"], row["svname"]): row for row in _statistics(statistics)}
        servers = (_server(row, counted) for row in _states(state))
        return Look(
            pid=_pid(info),
            servers={(server.backend, server.name): server for server in servers},
            state=state.strip() + "\n",
        )
    except (ValueError, KeyError):
        raise HaproxyAwayError("its answer was cut off or is not understood", gone=False) from None


def _pid(info: str) -> int:
    (found,) = (line for line in info.splitlines() if line.startswith("Pid: "))
    return int(found.removeprefix("Pid: "))


def _states(text: str) -> Iterable[_Row]:
    _version, header, *lines = text.strip().splitlines()
    names = header.removeprefix("# ").split()
    return [dict(zip(names, line.split(), strict=True)) for line in lines]


def _statistics(text: str) -> Iterable[_Row]:
    return list(csv.DictReader(text.strip().splitlines()))


def _server(state: _Row, counted: Mapping[tuple[str, str], _Row]) -> Server:
    backend, name = state["be_name"], state["srv_name"]
    admin = int(state["srv_admin_state"])
    count = counted[backend, name]
    # An attempt without an answer is no complete request for HAProxy, and counts apart.
    unanswered = _number(count["econ"]) + _number(count["eresp"])
    return Server(
        backend=backend,
        name=name,
        address=state["srv_addr"],
        port=int(state["srv_port"]),
        maintenance=bool(admin & _FORCED_MAINTENANCE),
        draining=bool(admin & _FORCED_DRAIN),
        up=state["srv_op_state"] in _TAKES_REQUESTS,
        active=_number(count["scur"]) + _number(count["qcur"]),
        requests=_number(count["req_tot"]) + unanswered,
        errors=_number(count["hrsp_5xx"]) + unanswered,
    )


def _number(text: str) -> int:
    return int(text or 0)
