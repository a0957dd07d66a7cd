"""What runs changed on this host: JSON lines, appended by the tools as they act; no secrets.

A run is several lines: `begun`, then `changed` for each step, then `ended`. One without an end was
cut off with the host.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .paths import RUNS

LIMIT_BYTES = 1_000_000  # then the file becomes `.1`, in the place of the one before


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def begun(run: dict[str, Any]) -> None:
    """Whose run it is, as its lock says."""
    about = {key: run[key] for key in ("run", "who", "user", "revision")}
    _append({**about, "event": "begun", "at": run["since"]})


def changed(run: str, step: dict[str, Any], began: str, error: str = "") -> None:
    """A step of a run is over; `error` is why it failed, in one sentence."""
    outcome = {"outcome": "failed", "error": error} if error else {"outcome": "ok"}
    _append({"run": run, "event": "changed", "at": began, "until": now(), **step, **outcome})


def ended(run: str, result: dict[str, str]) -> None:
    """A run is over on this host."""
    _append({"run": run, "event": "ended", "at": now(), **result})


def _append(entry: dict[str, Any]) -> None:
    line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    RUNS.parent.mkdir(mode=0o755, exist_ok=True)
    with _locked():
        if RUNS.exists() and RUNS.stat().st_size + len(line) > LIMIT_BYTES:
            RUNS.replace(RUNS.with_name(f"{RUNS.name}.1"))
        descriptor = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.fchmod(descriptor, 0o640)
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


@contextmanager
def _locked() -> Iterator[None]:
    descriptor = os.open(RUNS.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
