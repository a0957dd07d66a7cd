"""A throw-away PostgreSQL for tests: no network, its own folder, run as nobody instead of root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HBA = "local all postgres trust\nlocal all all scram-sha-256\n"


@dataclass(frozen=True)
class Binaries:
    """The folder of one PostgreSQL version's programs."""

    folder: Path
    major_version: int

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a server program as an unprivileged user, as these refuse root."""
        command = [*_as_nobody(), str(self.folder / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@dataclass(frozen=True)
class Server:
    """A running server, reached by its socket only."""

    binaries: Binaries
    data: Path

    def psql(self, script: str, *, role: str = "postgres", password: str = "") -> str:
        """What psql prints for `script`; a failure raises with what psql said."""
        local = self.binaries.folder / "psql"
        ran = subprocess.run(
            [
                str(local) if local.exists() else "psql",
                *("-XAtq", "-h", str(self.data.parent), "-U", role, "-d", "postgres"),
            ],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PGPASSWORD": password, "PGCLIENTENCODING": "UTF8"},
        )
        if ran.returncode:
            raise AssertionError(ran.stderr)
        return ran.stdout


def find_binaries() -> Binaries | None:
    """The newest PostgreSQL of Debian's packages, or the folder that POSTGRES_BIN names."""
    given = os.environ.get("POSTGRES_BIN")
    folders = [Path(given)] if given else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "postgres").exists():
        return None
    said = subprocess.run(
        [str(folders[-1] / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    return Binaries(folders[-1], int(said.split()[2].split(".")[0]))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder the server's user owns; socket paths have to be short, hence not pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(binaries: Binaries) -> Iterator[Server]:
    """A new server for the time of the context."""
    with scratch_folder() as folder:
        data = folder / "data"
        made = binaries.run(
            "initdb", "-D", str(data), "-N", "-U", "postgres", "-E", "UTF8", "--locale=C"
        )
        assert made.returncode == 0, made.stderr
        (data / "pg_hba.conf").write_text(HBA)
        (data / "postgresql.conf").write_text(
            f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\n"
            "shared_preload_libraries = 'pg_stat_statements'\ninclude_if_exists = 'drop_in.conf'\n"
        )
        log = folder / "log"
        started = binaries.run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "start")
        assert started.returncode == 0, log.read_text()
        try:
            yield Server(binaries, data)
        finally:
            binaries.run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
