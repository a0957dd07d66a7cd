"""Looks at processes of this machine."""

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits to be forgotten."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
