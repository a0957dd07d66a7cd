"""HAProxy, nginx and the instances behind them as ordinary processes on loopback.

They run with the configuration of a deploy, less what takes root rights or fixed places.
"""

import asyncio
import contextlib
import functools
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec

Arguments = ParamSpec("Arguments")
PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
STARTUP_SECONDS = 10.0
WORKERS = 2  # of nginx


def in_a_loop(
    test: Callable[Arguments, Coroutine[None, None, None]],
) -> Callable[Arguments, None]:
    """A test that is a coroutine, run in an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def find(program: str) -> str | None:
    """Where a daemon of the system is; not every user has its folder in the PATH."""
    return shutil.which(program, path=PROGRAMS)


def free_ports(count: int) -> list[int]:
    """Consecutive ports that nothing listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        found = list(range(first, first + count))
        if found[-1] < 65536 and all(_is_free(port) for port in found):
            return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(holds: Callable[[], object], what: str, seconds: float = STARTUP_SECONDS) -> None:
    """Wait for a condition; it is a failure when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Daemon:
    """A master process with workers."""

    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(STARTUP_SECONDS)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for sockets, whose paths have to be short, hence not pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="bal-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class HaproxyProcess(Daemon):
    """HAProxy with a master and a worker, as Debian's unit starts it."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "admin.sock"

    def ask(self, command: str) -> str:
        """What the runtime API says."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5)
            stream.connect(str(self.socket))
            stream.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: stream.recv(65536), b"")).decode()

    def worker(self) -> int:
        """The present worker; 0 while there is none."""
        with contextlib.suppress(OSError):
            found = re.search(r"^Pid: (\d+)", self.ask("show info"), re.MULTILINE)
            return int(found[1]) if found else 0
        return 0

    def start(self) -> None:
        super().start()
        wait_until(self.worker, "HAProxy answers")

    def reload(self) -> None:
        """Reload, and wait for the new worker. A master that has just started loses the signal, so
        it is sent again.
        """
        before = self.worker()
        for _ in range(int(STARTUP_SECONDS)):
            self.process.send_signal(signal.SIGUSR2)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: self.worker() not in (0, before), "HAProxy has a new worker", 1)
                return
        raise AssertionError(f"HAProxy has no new worker: {self.log.read_text()}")

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        worker = self.worker() if self.process.poll() is None else 0
        super().stop()
        wait_until(lambda: not _runs(worker), "HAProxy's worker has ended")


def _runs(pid: int) -> bool:
    return pid != 0 and Path(f"/proc/{pid}").exists()


def haproxy_config(text: str, folder: Path) -> str:
    """A deployed haproxy.cfg for an ordinary user, with its files in a folder."""
    rootless = re.sub(
        r"^    (chroot|user|group|log(?! ring@)|daemon)\b.*\n", "", text, flags=re.MULTILINE
    )
    rootless = rootless.replace("    bind :", "    bind 127.0.0.1:")
    rootless = re.sub(r"(stats socket) /run/haproxy/", rf"\1 {folder}/", rootless)
    rootless = re.sub(r"(statistics\.sock) user \S+", r"\1", rootless)
    return re.sub(r"(server-state-file) \S+", rf"\1 {folder}/haproxy.state", rootless)


@contextmanager
def haproxy(text: str) -> Iterator[HaproxyProcess]:
    """A HAProxy with a deployed configuration, for the time of the context."""
    program = find("haproxy")
    assert program is not None
    with short_folder() as folder:
        path = folder / "haproxy.cfg"
        path.write_text(haproxy_config(text, folder))
        command = [program, "-W", "-f", str(path)]
        process = HaproxyProcess(command, folder / "log", folder)
        process.start()
        try:
            yield process
        finally:
            process.stop()


@dataclass
class NginxProcess(Daemon):
    """nginx with a master and its workers; `folder` holds its whole configuration."""

    folder: Path
    port: int
    status_port: int

    @property
    def pid_file(self) -> Path:
        return self.folder / "nginx.pid"

    @property
    def servers(self) -> Path:
        return self.folder / "etc" / "stellwerk"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    def start(self) -> None:
        super().start()
        wait_until(lambda: self.pid_file.exists() and is_open(self.port), "nginx answers")

    def workers(self) -> list[int]:
        """The processes below the master."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def reload(self) -> None:
        before = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: set(self.workers()) - before, "nginx has new workers")


def nginx_config(text: str, folder: Path, port: int, status_port: int) -> str:
    """A deployed nginx.conf for an ordinary user, with its files in a folder."""
    rootless = re.sub(r"^(user|worker_rlimit_nofile|include).*\n", "", text, flags=re.MULTILINE)
    rootless = re.sub(
        r"^worker_processes .*;", f"worker_processes {WORKERS};", rootless, flags=re.MULTILINE
    )
    rootless = re.sub(r"^pid .*;", f"pid {folder}/nginx.pid;", rootless, flags=re.MULTILINE)
    rootless = rootless.replace("/var/log/nginx/", f"{folder}/")
    rootless = re.sub(r" *include (mime\.types|conf\.d/.*);\n", "", rootless)
    rootless = re.sub(r"listen 127\.0\.0\.1:\d+;", f"listen 127.0.0.1:{status_port};", rootless)
    rootless = re.sub(r"listen \d+ ", f"listen 127.0.0.1:{port} ", rootless)
    rootless = re.sub(r" *listen \[::\].*\n", "", rootless)
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return rootless.replace("http {\n", f"http {{\n{temporary}", 1)


@contextmanager
def nginx(text: str, servers: dict[str, str]) -> Iterator[NginxProcess]:
    """An nginx with a deployed configuration; `servers` are the files it includes, by upstream."""
    program = find("nginx")
    assert program is not None
    port, status_port = free_ports(2)
    with short_folder() as folder:
        path = folder / "etc" / "nginx.conf"
        command = [program, "-c", str(path), "-e", str(folder / "error.log"), "-g", "daemon off;"]
        process = NginxProcess(command, folder / "log", folder, port, status_port)
        process.servers.mkdir(parents=True)
        for name, content in servers.items():
            (process.servers / f"{name}.servers").write_text(content)
        path.write_text(nginx_config(text, folder, port, status_port))
        process.start()
        try:
            yield process
        finally:
            process.stop()


@dataclass
class Behaviour:
    """How an instance answers."""

    healthy: bool = True
    status: int = 200
    seconds: float = 0.0
    hangs_up: bool = False
    answered: int = 0
    running: int = 0


@asynccontextmanager
async def instance(port: int, behaviour: Behaviour | None = None) -> AsyncIterator[Behaviour]:
    """An instance on loopback for the time of the context; afterwards its port refuses."""
    told = behaviour or Behaviour()
    connections: dict[asyncio.StreamWriter, asyncio.Task[object] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[writer] = asyncio.current_task()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                if path == "/health":
                    writer.write(_answer(200 if told.healthy else 503, port))
                    continue
                told.running += 1
                try:
                    await asyncio.sleep(told.seconds)
                finally:
                    told.running -= 1
                if told.hangs_up:
                    break
                told.answered += 1
                writer.write(_answer(told.status, port))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            connections.pop(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=500)
    try:
        yield told
    finally:
        server.close()
        for writer in tuple(connections):
            writer.transport.abort()
        await asyncio.gather(*filter(None, connections.values()), return_exceptions=True)


def _answer(status: int, port: int) -> bytes:
    body = str(port).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@dataclass
class Load:
    """What clients that keep their connections saw: answers by status, and lost requests."""

    statuses: dict[int, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    closed_idle: int = 0  # connections that were closed between two requests
    lost: int = 0  # requests that were sent and had no answer

    @property
    def failed(self) -> int:
        return self.lost + sum(count for status, count in self.statuses.items() if status != 200)

    @property
    def total(self) -> int:
        return sum(self.statuses.values()) + self.lost


@asynccontextmanager
async def load(port: int, clients: int, pause: float = 0.0) -> AsyncIterator[Load]:
    """Clients that ask again and again for the time of the context, then end their requests."""
    seen, over = Load(), asyncio.Event()

    async def client() -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not over.is_set():
            if connection is None:
                connection = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = connection
            if reader.at_eof():
                seen.closed_idle += 1
                connection = None
                continue
            if not await _ask(reader, writer, seen):
                writer.close()
                connection = None
            await asyncio.sleep(pause)
        if connection is not None:
            connection[1].close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
        try:
            yield seen
        finally:
            over.set()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Load) -> bool:
    """Send one request; whether the connection stays."""
    try:
        writer.write(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(found[1])) if found else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        seen.lost += 1
        return False
    status = int(head.split()[1])
    seen.statuses[status] = seen.statuses.get(status, 0) + 1
    if status == 200:
        seen.ports[body.decode()] = seen.ports.get(body.decode(), 0) + 1
    return b"connection: close" not in head.lower()
