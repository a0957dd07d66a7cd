"""Everything a deploy needs to know of this host, as one JSON document in one round trip (C8)."""

import fcntl
import grp
import hashlib
import json
import os
import platform
import pwd
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import (
    generations,
    packages,
    passwords,
    postgresql,
    redis,
    release,
    run_lock,
    stamps,
    units,
)
from .paths import AGENT_CONFIGURATION

DISKS = ("/", "/var", "/opt", "/etc")


def gather(request: dict[str, Any]) -> dict[str, Any]:
    """The sections that `request` names; each stands alone."""
    sections: dict[str, Callable[[], Any]] = {
        "run": run_lock.state,
        "system": system,
        "packages": packages.installed,
        "stamps": stamps.read_all,
        "files": files,
        "folders": folders,
        "units": lambda: units.states(
            unit for stamp in stamps.read_all().values() for unit in stamp.get("units", ())
        ),
        "redis": redis.state,
        "sentinel": redis.sentinel_state,
        "passwords": passwords.state,
        "postgresql": lambda: postgresql.state(request["postgresql_script"]),
        "pins": generations.pinned,
        "health_paths": health_paths,
        "release": lambda: release.state(Path(request["prefix"])),
        "programs": lambda: release.programs(Path(request["prefix"])),
    }
    return {name: sections[name]() for name in request["sections"]}


def system() -> dict[str, Any]:
    """What machine this is, and what stands in the way of a deploy."""
    release_file = platform.freedesktop_os_release()
    return {
        "id": release_file.get("ID", ""),
        "version": release_file.get("VERSION_ID", ""),
        "codename": release_file.get("VERSION_CODENAME", ""),
        "architecture": platform.machine(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free_bytes": {path: shutil.disk_usage(path).free for path in DISKS},
        "apt_locked": _apt_locked(),
    }


def _apt_locked() -> bool:
    try:
        with Path("/var/lib/dpkg/lock-frontend").open("r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def files() -> dict[str, Any]:
    """Digest, mode and owner of every file that a configuration owns."""
    paths = {path for stamp in stamps.read_all().values() for path in stamp.get("files", ())}
    return {path: _file(Path(path)) for path in sorted(paths)}


def folders() -> dict[str, Any]:
    """Mode and owner of every folder that a configuration owns."""
    paths = {path for stamp in stamps.read_all().values() for path in stamp.get("directories", ())}
    return {path: _folder(Path(path)) for path in sorted(paths)}


def health_paths() -> dict[str, str]:
    """Where the health of each service is asked at present, by its name."""
    try:
        services = json.loads(AGENT_CONFIGURATION.read_text())["services"]
        return {name: about["health_path"] for name, about in services.items()}
    except (OSError, ValueError, KeyError):
        return {}  # no agent yet, or one that does not start with what it has


def _file(path: Path) -> dict[str, Any] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return {"link": str(path.readlink())}
    if not stat.S_ISREG(status.st_mode):
        return {"sha256": "", **_rights(status)}
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **_rights(status)}


def _folder(path: Path) -> dict[str, Any] | None:
    try:
        return _rights(path.stat()) if path.is_dir() else None
    except OSError:
        return None


def _rights(status: os.stat_result) -> dict[str, Any]:
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        owner = group = "?"
    return {"mode": stat.S_IMODE(status.st_mode), "owner": owner, "group": group}
