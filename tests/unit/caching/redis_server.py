"""A throw-away Redis on loopback, and programs beside it such as replicas and Sentinels."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_SECONDS = 30


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RedisServer:
    """A redis-server process in a folder of its own, without persistence."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    first_options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(
                    "redis-server",
                    *self.first_options,
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                ),
                *("--save", "", "--dir", str(self.folder), "--logfile", f"{self.port}.log"),
                *self.options,
            ]
        )
        limit = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if self.command("PING") == "PONG":
                    return
            except (OSError, subprocess.CalledProcessError):
                pass
            assert time.monotonic() < limit, "redis-server does not answer"
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def command(self, *words: str) -> str:
        """What redis-cli prints for a command."""
        ran = subprocess.run(
            ["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, with everything it has."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """A server for the time of the context."""
    with scratch_folder() as folder:
        server = RedisServer(folder, options=options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for servers."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
