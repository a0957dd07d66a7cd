"""Debian packages: install what is missing, also after an interrupted installation."""

import os
import re
from pathlib import Path
from typing import Any

from .command import Failure, run, run_or_fail

LOG = Path("/var/log/stellwerk-packages.log")


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
    missing = sorted(set(document["packages"]) - installed().keys())
    if not missing and not _interrupted():
        return
    for unit in document["masked"]:
        run_or_fail(["systemctl", "mask", "--quiet", unit])
    wait = document["lock_timeout_seconds"]
    if _interrupted():
        _apt(["dpkg", "--configure", "-a", "--force-confold"], wait)
    options = ["-q", "-y", "-o", f"DPkg::Lock::Timeout={wait}", "-o", "Acquire::Languages=none"]
    _apt(["apt-get", *options, "update"], wait)
    options += ["-o", "Dpkg::Options::=--force-confold", "--no-install-recommends"]
    _apt(["apt-get", *options, "install", *missing], wait)
    left = set(document["packages"]) - installed().keys()
    if left:
        raise Failure(f"apt did not install {', '.join(sorted(left))}", _last_words())


def _interrupted() -> bool:
    return any(Path("/var/lib/dpkg/updates").glob("[0-9]*")) or bool(
        run(["dpkg", "--audit"]).stdout.strip()
    )


def _apt(command: list[str], lock_timeout: int) -> None:
    # Its output goes to a file, so it ends its work even when the run that started it is gone.
    LOG.touch(mode=0o640)
    words = " ".join(f"'{word}'" for word in command)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    result = run(["sh", "-c", f"{words} >>{LOG} 2>&1"], timeout=1800, environment=environment)
    if not result.returncode:
        return
    said = _last_words()
    held = re.findall(r"held by process (\d+) \(([^)]*)\)", said)
    if held:
        process, program = held[-1]
        raise Failure(
            f"apt's lock is held by {program} (process {process}) for more than {lock_timeout} s;"
            " let it end, or stop it, and run again"
        )
    if "No space left on device" in said:
        raise Failure("the disk is full: free some space and run again", said)
    raise Failure(f"{command[0]} failed (see {LOG})", said)


def _last_words() -> str:
    try:
        return "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])
    except FileNotFoundError:
        return ""
