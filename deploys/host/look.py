"""What a plan shows beyond the facts: the text of files, checks that do not wait. Read only."""

import base64
from pathlib import Path
from typing import Any

from . import checks

LARGEST_BYTES = 500_000  # of a file that is shown; no configuration of ours comes near


def look(request: dict[str, Any]) -> dict[str, Any]:
    """The contents of `paths`, which hold no secrets; which `checks` do not hold in `seconds`."""
    return {
        "contents": {path: _content(Path(path)) for path in request["paths"]},
        "failures": checks.all_failures(request["checks"], request["seconds"]),
    }


def _content(path: Path) -> str | None:
    """A file in base64; None where it is none, or too large to be shown."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_BYTES:
            return None
        return base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None
