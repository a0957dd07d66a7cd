"""One run at a time on this host, from its first change to its end.

A process that the run's own connection keeps alive holds the lock. It ends with that connection:
when the run is killed, at once; when the control machine has vanished, after `LEASE_SECONDS` in
which the run was not heard of. So the lock cannot stay behind. The lock of a single command, which
may outlive its run, is in `lock`.
"""

import contextlib
import fcntl
import json
import os
import pwd
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import record
from .command import Failure
from .paths import RUN_LOCK

LEASE_SECONDS = 90  # the run renews it far more often
LOOK_SECONDS = 1.0
ANSWER_SECONDS = 3.0
POLL_SECONDS = 0.1
INTERRUPTED = {"outcome": "interrupted"}


class _Ended(Exception):
    """The run is over, or gone."""


def hold(document: dict[str, Any]) -> int:
    """Wait for the lock for `wait_seconds` and hold it until the run ends, whose run is said."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    descriptor = _opened(RUN_LOCK)
    try:
        # Whoever only looks at the lock has it for a moment.
        deadline = time.monotonic() + max(document["wait_seconds"], LOOK_SECONDS)
        while not _taken(descriptor):
            if time.monotonic() >= deadline or not _is_read():
                return 0
            time.sleep(POLL_SECONDS)
        _hold(descriptor, document)
    except _Ended:
        pass
    finally:
        os.close(descriptor)
    return 0


def _hold(descriptor: int, document: dict[str, Any]) -> None:
    mine = {key: document[key] for key in ("run", "who", "revision")}
    mine |= {"since": record.now(), "user": _user(), "pid": os.getpid()}
    last = _last(_read(descriptor))
    _write(descriptor, {**mine, "last": last})
    try:
        heard, seen = time.monotonic(), _renewed(descriptor)
        while _is_read() and time.monotonic() - heard < LEASE_SECONDS:
            if _renewed(descriptor) != seen:
                heard, seen = time.monotonic(), _renewed(descriptor)
            time.sleep(LOOK_SECONDS)
    except _Ended:
        pass
    finally:
        # From here on nothing is to keep the end of the run from being written down.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        held = _read(descriptor)
        if held.get("recorded"):
            record.ended(document["run"], held.get("result", INTERRUPTED))
        _write(descriptor, {"last": _last(held)})


def state() -> dict[str, str]:
    """Whose run holds the lock: `run`, `who`, `since`, `user`, `revision`; only `last` if none.

    `last` names the run before that changed something here, since the host was started.
    """
    try:
        descriptor = os.open(RUN_LOCK, os.O_RDWR)
    except OSError:
        return {"last": ""}
    try:
        free, found = _taken(descriptor), _read(descriptor)
    finally:
        os.close(descriptor)
    if free:
        return {"last": _last(found)}
    return {key: str(found.get(key, "")) for key in _SHOWN}


def lease(document: dict[str, Any]) -> dict[str, str]:
    """Who holds the lock, asked by a run; its own lease is renewed.

    With `starting` its own holder is on its way: as long as the lock is free, that is waited for.
    """
    deadline = time.monotonic() + (ANSWER_SECONDS if document["starting"] else 0)
    while True:
        found = state()
        if "run" in found or time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    if found.get("run") == document["run"]:
        os.utime(RUN_LOCK)
    return found


def require(run: str) -> None:
    """Renew the lease of a run.

    Raises:
        Failure: the run does not hold the lock any more, so it may change nothing.
    """
    found = state()
    if found.get("run") == run:
        os.utime(RUN_LOCK)
        return
    now = f"{found['who']} has it since {found['since']}" if "run" in found else "it is free now"
    raise Failure(
        f"this run has lost the lock of the host ({now}), as it was not heard of for"
        f" {LEASE_SECONDS} s; nothing was changed by this step, run again"
    )


def release(document: dict[str, Any]) -> None:
    """End the run on this host and write down what came of it; nothing where it holds no lock."""
    descriptor = _opened(RUN_LOCK)
    try:
        if _taken(descriptor):
            return
        held = _read(descriptor)
        if held.get("run") != document["run"]:
            return
        _write(descriptor, {**held, "result": document["result"]})
        with contextlib.suppress(ProcessLookupError):
            os.kill(held["pid"], signal.SIGTERM)
        deadline = time.monotonic() + ANSWER_SECONDS
        while not _taken(descriptor) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    finally:
        os.close(descriptor)


def first_of_run(run: str) -> dict[str, Any]:
    """Whose run it is, if this is the first time that it is asked; else nothing."""
    descriptor = _opened(RUN_LOCK)
    try:
        held = _read(descriptor)
        if held.get("run") != run or held.get("recorded"):
            return {}
        _write(descriptor, {**held, "recorded": True})
        return held
    finally:
        os.close(descriptor)


_SHOWN = ("run", "who", "since", "user", "revision", "last")
_SIZE = 4096  # written and read as a whole, so that no reader sees a part


def _last(content: dict[str, Any]) -> str:
    """The newest run that changed something, by the lock's content."""
    return str(content["run"] if content.get("recorded") else content.get("last", ""))


def _user() -> str:
    """Who is logged in here, also where sudo made him root."""
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.geteuid()).pw_name


def _end(*_: object) -> None:
    raise _Ended


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_read() -> bool:
    """Whether somebody still reads what this process prints: the run that started it."""
    broken = select.poll()
    broken.register(sys.stdout.fileno(), 0)
    if broken.poll(0):
        return False
    try:
        # Through sudo and SSH the end shows only when something is written.
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _renewed(descriptor: int) -> int:
    return os.fstat(descriptor).st_mtime_ns


def _read(descriptor: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(descriptor, _SIZE, 0)))
    except ValueError:
        return {}  # made just now


def _write(descriptor: int, content: dict[str, Any]) -> None:
    os.pwrite(descriptor, json.dumps(content).encode().ljust(_SIZE), 0)
