"""Directives of a Redis that wait for its restart, noted for this run or the next."""

import json
from pathlib import Path

from .paths import STATE


def remember(port: int, directive: str, value: str) -> None:
    """Note that a directive waits for a restart."""
    _note(port).write_text(json.dumps({**remembered(port), directive: value}))


def remembered(port: int) -> dict[str, str]:
    """The directives that wait for a restart, with their values."""
    try:
        return dict(json.loads(_note(port).read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def forget(port: int) -> None:
    """The server was restarted."""
    _note(port).unlink(missing_ok=True)


def _note(port: int) -> Path:
    return STATE / f"redis-{port}.restart.json"
