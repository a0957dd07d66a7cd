"""nginx's processes: its workers, and a reload that counts only when new workers run.

`systemctl reload` ends well, too, where nginx could not use its new files and serves on as before.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from . import units
from .command import Failure, run

UNIT = "nginx.service"
PID = Path("/run/nginx.pid")
PROCESSES = Path("/proc")
ERRORS = Path("/var/log/nginx/error.log")
RELOAD_SECONDS = 10.0  # nginx has new workers within 0.1 s; it tries a port for 2.5 s
PAUSE_SECONDS = 0.02
FATAL = "[emerg]"  # the level of what keeps nginx from using its files


def reload(before: Sequence[int] | None = None) -> int:
    """Reload and wait for other workers than `before`, by default those that run now.

    A nginx that does not run takes its files when it starts.

    Raises:
        Failure: nginx kept its old configuration; the detail is what it said about it.
    """
    if not units.is_active(UNIT):
        return 0
    known = set(workers() if before is None else before)
    read = ERRORS.stat().st_size if ERRORS.exists() else 0
    done = run(["systemctl", "reload", UNIT])
    if done.returncode:
        raise Failure(f"{UNIT} did not reload: {done.stderr.strip()}")
    deadline = time.monotonic() + RELOAD_SECONDS
    while not set(workers()) - known:
        if time.monotonic() >= deadline:
            raise Failure("nginx did not take its new files", _fatal_since(read))
        time.sleep(PAUSE_SECONDS)
    return 0


def workers() -> list[int]:
    """nginx's workers, old ones that end their requests among them."""
    try:
        master = PID.read_text().strip()
    except OSError:
        return []
    found = []
    for path in PROCESSES.glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may hold anything; behind it come the state and the parent.
            parent = path.read_text(errors="replace").rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        if parent == master:
            found.append(int(path.parent.name))
    return sorted(found)


def _fatal_since(position: int) -> str:
    """What nginx has logged as fatal since its log was so long."""
    try:
        with ERRORS.open("rb") as log:
            log.seek(position)
            said = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line for line in said.splitlines() if FATAL in line)
