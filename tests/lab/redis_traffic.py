"""A steady client of Redis: writes and reads through whatever master the Sentinels name.

As a program it notes every request; `Traffic` starts it in the lab's network and reads the notes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.lab.lab import REPOSITORY, Lab

PAUSE_SECONDS = 0.01
TIMEOUT_SECONDS = 1.0
END_SECONDS = 60.0
KEY = "written:"
ACKNOWLEDGED, FAILED = "acknowledged", "failed"


@dataclass(frozen=True)
class Access:
    """How the client finds and enters Redis. `every_time`: it connects anew for each request."""

    name: str
    sentinels: Sequence[tuple[str, int]]
    sentinel_password: str
    password: str
    every_time: bool = False


@dataclass(frozen=True)
class Notes:
    """What became of the requests so far; `longest_gap` in seconds between two acknowledged."""

    acknowledged: frozenset[int]
    failed: int
    longest_gap: float
    errors: frozenset[str]


class Traffic:
    """A client that runs until it is finished. Its numbers start at `first`."""

    def __init__(self, lab: Lab, access: Access, folder: Path, first: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._noted, self._stop = folder / "noted", folder / "stop"
        self._stop.unlink(missing_ok=True)
        self._noted.unlink(missing_ok=True)
        arguments = [str(self._noted), str(self._stop), str(first)]
        command = [sys.executable, "-m", "tests.lab.redis_traffic", *arguments]
        self._process = subprocess.Popen(
            lab.net_command(command), cwd=REPOSITORY, stdin=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(json.dumps(access.__dict__))

    def notes(self) -> Notes:
        """What was noted so far."""
        text = self._noted.read_text() if self._noted.exists() else ""
        rows = [line.split(" ", 3) for line in text.splitlines() if line.count(" ") >= 3]
        done = [row for row in rows if row[0] == ACKNOWLEDGED]
        times = [float(row[2]) for row in done]
        return Notes(
            acknowledged=frozenset(int(row[1]) for row in done),
            failed=len(rows) - len(done),
            longest_gap=max((b - a for a, b in pairwise(times)), default=0.0),
            errors=frozenset(row[3] for row in rows if row[0] == FAILED),
        )

    def finish(self) -> Notes:
        """Stop the client; all it noted."""
        self._stop.touch()
        assert self._process.wait(END_SECONDS) == 0
        return self.notes()

    def kill(self) -> None:
        """End the client, whatever it does."""
        self._process.kill()
        self._process.wait()


class _Client:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._redis: redis.Redis | None = None

    def exchange(self, number: int) -> None:
        """Write a number and read it again. Raises RedisError."""
        client = self._redis or self._find()
        self._redis = None
        client.set(f"{KEY}{number}", number)
        if client.get(f"{KEY}{number}") != str(number).encode():
            raise redis.RedisError("read something else than was written")
        if self._access.every_time:
            client.close()
        else:
            self._redis = client

    def _find(self) -> redis.Redis:
        access = self._access
        for host, port in access.sentinels:
            with (
                suppress(redis.ConnectionError, redis.TimeoutError),
                _connect(host, port, None, access.sentinel_password) as sentinel,
            ):
                named = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", access.name)
                return _connect(named[0].decode(), int(named[1]), "app", access.password)
        raise redis.ConnectionError("no Sentinel names the master")


def _connect(host: str, port: int, user: str | None, password: str) -> redis.Redis:
    """A client that says of every failure that it failed."""
    return redis.Redis(
        host,
        port,
        username=user,
        password=password,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def main() -> None:
    """Exchange numbers until the stop file is there: `NOTED STOP FIRST`, the access on stdin."""
    noted, stop, number = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    client = _Client(Access(**json.load(sys.stdin)))
    with noted.open("w", buffering=1) as notes:
        while not stop.exists():
            try:
                client.exchange(number)
                outcome, said = ACKNOWLEDGED, "-"
            except redis.RedisError as error:
                outcome, said = FAILED, " ".join(str(error).split())
            notes.write(f"{outcome} {number} {time.monotonic():.3f} {said}\n")
            number += 1
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
