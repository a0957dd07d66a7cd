"""Whether a process that was seen earlier still runs."""

import contextlib
import os
from pathlib import Path


def is_running(pid: int, program: str) -> bool:
    """Whether a process is there and is, as far as can be seen, still the same program's.

    Where /proc shows no processes of others, it is taken for the same.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == program
    return True
