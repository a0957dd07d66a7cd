"""A throw-away Redis: would it start with a configuration, as Redis has no test of its own?

Data folder, ports and replication are replaced, so that it touches nothing of the real one.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .command import Failure
from .resp import Connection

START_SECONDS = 10
POLL_SECONDS = 0.02
NO_CONFIGURATION = "-"  # redis-server then reads its standard input, which is empty


class _Refused(Exception):
    """The throw-away server has not started; the message is what it said."""


def refusal(configuration: Path) -> str:
    """What Redis says against a configuration file; empty where it starts with it."""
    try:
        with _started(str(configuration)):
            return ""
    except _Refused as refused:
        return str(refused)


def check(configuration: Path) -> int:
    """The same as a step of a configuration's check: 0 where Redis starts, else its words."""
    said = refusal(configuration)
    if said:
        print(said)
    return int(bool(said))


def defaults(directives: Iterable[str]) -> dict[str, str]:
    """Redis' own values of the directives; those it does not know are left out.

    Raises:
        Failure: no Redis can be started to be asked.
    """
    wanted = list(directives)
    if not wanted:
        return {}
    try:
        with _started(NO_CONFIGURATION) as socket, Connection(socket) as connection:
            found = connection.pairs("CONFIG", "GET", *wanted)
            return {name: "" if value == socket else value for name, value in found.items()}
    except _Refused as refused:
        raise Failure("Redis cannot be asked for its own values", str(refused)) from refused


@contextmanager
def _started(configuration: str) -> Iterator[str]:
    """A server that runs for a while; the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="stellwerk-redis-") as folder:
        socket = f"{folder}/redis.sock"
        harmless = ["--port", "0", "--tls-port", "0", "--unixsocket", socket]
        harmless += ["--dir", folder, "--save", ""]
        harmless += ["--daemonize", "no", "--supervised", "no", "--logfile", "", "--pidfile", ""]
        harmless += ["--appendonly", "no", "--replicaof", "no", "one"]
        server = subprocess.Popen(
            ["redis-server", configuration, *harmless],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            listens = _listens(server, Path(socket))
            if listens:
                yield socket
        finally:
            server.kill()
            said, _ = server.communicate()
        if not listens:
            raise _Refused(said.strip() or f"it does not start within {START_SECONDS} s")


def _listens(server: subprocess.Popen[str], socket: Path) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if socket.exists():
            return True
        time.sleep(POLL_SECONDS)
    return False
