"""A host in a temporary folder: its state, its systemd and its programs, without root rights."""

import base64
import grp
import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest

from deploys.host import (
    facts,
    generations,
    nginx_process,
    packages,
    pin,
    redis,
    release,
    stamps,
    transaction,
)

USER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name

SYSTEMCTL = r"""
verb=$1
case $verb in
show)
    while [ "$1" != "--" ]; do shift; done; shift
    for unit; do
        echo "Id=$unit"
        echo "ActiveState=$(cat "$UNITS/$unit" 2>/dev/null || echo inactive)"
        echo
    done ;;
start | restart | reload)
    shift
    for unit; do
        if [ -e "$UNITS/$unit.accepts" ] && ! sh "$UNITS/$unit.accepts"; then
            echo failed >"$UNITS/$unit"; echo "Job for $unit failed." >&2; exit 1
        fi
        echo active >"$UNITS/$unit"
    done ;;
stop | disable)
    for unit; do :; done
    case "$*" in stop* | *--now*) rm -f "$UNITS/$unit" ;; esac ;;
esac
"""


class Host:
    """The folder of one host, the programs on its PATH, and what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.state = folder / "state"
        self.units = folder / "units"
        self.programs = folder / "bin"
        self.log = folder / "calls"
        for made in (self.root, self.units, self.programs):
            made.mkdir()

    def program(self, name: str, script: str = "") -> None:
        """Put a program on the host's PATH; each call of it is recorded."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{script}\n')
        path.chmod(0o755)

    def calls(self, containing: str = "") -> list[str]:
        """Calls of programs so far, in order."""
        said = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in said if containing in line]

    def forget_calls(self) -> None:
        self.log.unlink(missing_ok=True)

    def unit(self, name: str, *, active: bool = True, accepts: str | None = None) -> None:
        """Set a unit's state; `accepts` is shell that decides whether it starts."""
        if active:
            (self.units / name).write_text("active\n")
        if accepts is not None:
            (self.units / f"{name}.accepts").write_text(accepts)

    def is_active(self, name: str) -> bool:
        path = self.units / name
        return path.exists() and path.read_text().strip() == "active"

    def file(self, name: str, content: str, mode: int = 0o644) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path


NGINX = 100  # the pid of its master


class NginxProcesses:
    """An nginx with two workers; a reload brings a new one."""

    def __init__(self, host: Host) -> None:
        self.folder = host.folder / "proc"
        self.host = host
        host.file("run/nginx.pid", f"{NGINX}\n")
        host.unit(nginx_process.UNIT)
        for pid in (101, 102):
            (self.folder / str(pid)).mkdir(parents=True)
            (self.folder / str(pid) / "stat").write_text(f"{pid} (a ) name) S {NGINX} 1 1\n")
        self.add_by_reload(103)

    def add_by_reload(self, pid: int) -> None:
        """Have the next reload bring this worker."""
        made = f"{self.folder}/{pid}"
        self.host.unit(
            nginx_process.UNIT,
            accepts=f"mkdir -p {made}; echo '{pid} (nginx) S {NGINX} 1' >{made}/stat",
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with a systemd whose units start, and with nothing of Stellwerk on it."""
    host = Host(tmp_path)
    host.program("systemctl", SYSTEMCTL)
    host.program("journalctl", 'for unit; do :; done; echo "journal of $unit"')
    host.program("dpkg", "")
    monkeypatch.setenv("PATH", f"{host.programs}:{os.environ['PATH']}")
    monkeypatch.setenv("UNITS", str(host.units))
    for module in (transaction, stamps):
        monkeypatch.setattr(module, "STAMPS", host.state / "stamps")
    monkeypatch.setattr(transaction, "STAGING", host.state / "staging")
    monkeypatch.setattr(transaction, "BACKUPS", host.state / "backups")
    for module in (generations, pin):
        monkeypatch.setattr(module, "UNITS", host.folder / "system")
    monkeypatch.setattr(generations, "GENERATIONS", host.folder / "generations")
    for module in (facts, pin):
        monkeypatch.setattr(module, "AGENT_CONFIGURATION", host.folder / "agent.json")
    for module in (redis, generations):
        monkeypatch.setattr(module, "CREDENTIALS", host.state / "credentials")
    monkeypatch.setattr(release, "COMMAND", host.folder / "stellwerk")
    monkeypatch.setattr(packages, "LOG", host.folder / "packages.log")
    monkeypatch.setattr(packages, "UPDATES", host.folder / "updates")
    monkeypatch.setattr(packages, "LOCKS", (host.folder / "lock-frontend", host.folder / "lists"))
    return host


@pytest.fixture
def processes(host: Host, monkeypatch: pytest.MonkeyPatch) -> NginxProcesses:
    """The processes of an nginx with two workers; a reload brings a third."""
    found = NginxProcesses(host)
    monkeypatch.setattr(nginx_process, "PID", host.root / "run/nginx.pid")
    monkeypatch.setattr(nginx_process, "PROCESSES", found.folder)
    monkeypatch.setattr(nginx_process, "ERRORS", host.root / "error.log")
    monkeypatch.setattr(nginx_process, "RELOAD_SECONDS", 0.1)
    return found


def file_of(path: Path, content: str, mode: int = 0o644, seed: bool = False) -> dict[str, Any]:
    """A file in a configuration's document."""
    encoded = base64.b64encode(content.encode()).decode()
    owner = {"owner": USER, "group": GROUP}
    return {"path": str(path), "content": encoded, "mode": mode, "seed": seed, **owner}


def configuration(*files: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A configuration's document, which needs no check and activates nothing unless told."""
    return {
        "name": "sample",
        "digest": "new",
        "files": list(files),
        "directories": [],
        "absent": [],
        "check": [],
        "tree": None,
        "activate": {"unit": None, "how": "reload", "commands": [], "daemon_reload": False},
        "health": [],
        "health_seconds": 0,
        "lasting": [],
        **changed,
    }


def activating(unit: str, how: str = "reload", **changed: Any) -> dict[str, Any]:
    """What a document says about its activation."""
    return {"unit": unit, "how": how, "commands": [], "daemon_reload": False, **changed}


def python(code: str) -> list[str]:
    """A command that runs Python."""
    return [sys.executable, "-c", code]
