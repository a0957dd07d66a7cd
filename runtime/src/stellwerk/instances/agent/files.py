"""Files that others read while the agent writes them."""

import os
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write so that a reader, and a host that crashes, sees the old or the new text whole."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
