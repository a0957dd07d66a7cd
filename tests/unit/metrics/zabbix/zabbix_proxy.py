"""A real Zabbix proxy with a database of its own, for hosts and items that tests name."""

import gzip
import random
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.debian import Programs
from tests.lab.waiting import wait_until
from tests.unit.instances.programs import is_open

_SECONDS = 30
_TRAPPER = 2
_FLOAT, _TEXT = 0, 4
_CONFIGURATION = """\
ProxyMode=1
Server=127.0.0.1
Hostname=proxy
ListenIP=127.0.0.1
ListenPort={port}
DBName={folder}/proxy.db
LogType=console
PidFile={folder}/proxy.pid
SocketDir={folder}
FpingLocation=/bin/true
AllowRoot=1
StartPollers=0
StartPollersUnreachable=0
StartPingers=0
StartDiscoverers=0
StartHTTPPollers=0
StartTrappers=1
StartPreprocessors=1
StartDBSyncers=1
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    port: int
    database: Path

    def values(self) -> dict[str, list[str]]:
        """The values it holds for its server, by the keys of their items."""
        query = (
            "SELECT items.key_, proxy_history.value FROM proxy_history"
            " JOIN items USING (itemid) ORDER BY proxy_history.id"
        )
        found: dict[str, list[str]] = {}
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            for key, value in connection.execute(query):
                found.setdefault(key, []).append(value)
        return found


@contextmanager
def running(
    programs: Programs, folder: Path, host: str, numbers: Iterable[str], texts: Iterable[str]
) -> Iterator[Proxy]:
    """A proxy that has one host, with items of these keys."""
    database = folder / "proxy.db"
    _fill(programs, database, host, [*((key, _FLOAT) for key in numbers),
                                     *((key, _TEXT) for key in texts)])  # fmt: skip
    port = _free_port()
    configuration = folder / "proxy.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
    command = [programs.path("zabbix_proxy"), "--foreground", "--config", str(configuration)]
    log = folder / "proxy.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=programs.environment, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, port, log)
        yield Proxy(port, database)
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _fill(programs: Programs, database: Path, host: str, items: list[tuple[str, int]]) -> None:
    shared = (programs.root or Path("/")) / "usr/share"
    schema = gzip.decompress((shared / "zabbix-proxy-sqlite3/schema.sql.gz").read_bytes())
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(schema.decode())
        connection.execute("INSERT INTO hosts (hostid, host, name) VALUES (1, ?, ?)", (host, host))
        connection.executemany(
            "INSERT INTO items (itemid, type, hostid, name, key_, value_type)"
            f" VALUES (?, {_TRAPPER}, 1, ?, ?, ?)",
            [(place, key, key, kind) for place, (key, kind) in enumerate(items, start=1)],
        )
        connection.executemany(
            "INSERT INTO item_rtdata (itemid) VALUES (?)",
            [(place,) for place in range(1, len(items) + 1)],
        )
        connection.commit()


def _free_port() -> int:
    """One that Zabbix takes: none of those that the kernel gives away by itself."""
    while is_open(port := random.randint(20_000, 32_000)):
        pass
    return port


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    listens = wait_until(lambda: is_open(port) or process.poll() is not None, _SECONDS)
    if not listens or process.poll() is not None:
        said = log.read_text(errors="replace")[-2000:]
        raise AssertionError(f"the Zabbix proxy does not listen: {said}")
