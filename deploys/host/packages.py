"""Debian packages: install what is missing, also after an interrupted installation."""

import fcntl
import os
import re
import shlex
import struct
import time
from pathlib import Path
from typing import Any

from .command import Failure, run, run_or_fail

LOG = Path("/var/log/stellwerk-packages.log")
UPDATES = Path("/var/lib/dpkg/updates")
# apt waits for the first if it is told to, but never for the second, which `update` takes.
LOCKS = (Path("/var/lib/dpkg/lock-frontend"), Path("/var/lib/apt/lists/lock"))


def installed() -> dict[str, str]:
    """Name and version of every package that is fully installed."""
    shown = run(["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"])
    rows = (line.split() for line in shown.stdout.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "ii"}


def install(document: dict[str, Any]) -> None:
    """Install the missing of `packages`; units in `masked` never start with Debian's defaults.

    Raises:
        Failure: apt's own words, or who holds its lock.
    """
    wait = document["lock_timeout_seconds"]
    missing = sorted(set(document["packages"]) - installed().keys())
    # Looked at twice: another apt that is at work leaves dpkg as an interrupted one would.
    if not missing and not _interrupted():
        return
    _wait_for_locks(wait)
    for unit in document["masked"]:
        run_or_fail(["systemctl", "mask", "--quiet", unit])
    if _interrupted():
        _apt(["dpkg", "--configure", "-a", "--force-confold"], wait)
    options = ["-q", "-y", "-o", f"DPkg::Lock::Timeout={wait}", "-o", "Acquire::Languages=none"]
    _apt(["apt-get", *options, "update"], wait)
    options += ["-o", "Dpkg::Options::=--force-confold", "--no-install-recommends"]
    _apt(["apt-get", *options, "install", "--", *missing], wait)
    left = set(document["packages"]) - installed().keys()
    if left:
        raise Failure(f"apt did not install {', '.join(sorted(left))}", _said_since(0))


def _interrupted() -> bool:
    return any(UPDATES.glob("[0-9]*")) or bool(run(["dpkg", "--audit"]).stdout.strip())


def _wait_for_locks(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for path in LOCKS:
        while holder := _holder(path):
            if time.monotonic() >= deadline:
                raise _held(holder, seconds)
            time.sleep(0.5)


def _holder(lock: Path) -> int:
    """The process that holds a lock file of apt's, or 0."""
    try:
        with lock.open("rb") as file:
            answer = fcntl.fcntl(file, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError:
        return 0
    kind, _, _, _, process = _FLOCK.unpack(answer)
    return 0 if kind == fcntl.F_UNLCK else int(process)


_FLOCK = struct.Struct("hhqqi4x")  # the kernel's struct flock on 64 bits: type to pid


def _held(process: int | str, seconds: float) -> Failure:
    try:
        program = Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        program = "another program"
    return Failure(
        f"apt's lock is held by {program} (process {process}) for more than {seconds:g} s;"
        " let it end, or stop it, and run again"
    )


def _apt(command: list[str], lock_timeout: int) -> None:
    # Its output goes to a file, so it ends its work even when the run that started it is gone.
    LOG.touch(mode=0o640)
    begin = LOG.stat().st_size
    script = f"{shlex.join(command)} >>{shlex.quote(str(LOG))} 2>&1"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    result = run(["sh", "-c", script], timeout=1800, environment=environment)
    if not result.returncode:
        return
    said = _said_since(begin)
    held = re.findall(r"(?:held by process|another process with pid) (\d+)", said)
    if held:
        raise _held(held[-1], lock_timeout)
    if "No space left on device" in said:
        raise Failure("the disk is full: free some space and run again", said)
    raise Failure(f"{command[0]} failed (see {LOG})", said)


def _said_since(begin: int) -> str:
    """The last lines that apt wrote to the log after its first `begin` bytes."""
    try:
        written = LOG.read_bytes()[begin:]
    except FileNotFoundError:
        return ""
    return "\n".join(written.decode(errors="replace").splitlines()[-20:])
