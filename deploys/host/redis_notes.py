"""What the host keeps in mind of a Redis between two runs."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .command import Failure
from .paths import STATE


def remember(port: int, directive: str, value: str) -> None:
    """Note that a directive waits for a restart."""
    _write(_waiting(port), {**remembered(port), directive: value})


def remembered(port: int) -> dict[str, str]:
    """The directives that wait for a restart, with their values."""
    return dict(_read(_waiting(port), {}))


def forget(port: int, directives: Iterable[str] | None = None) -> None:
    """These directives wait no more; without `directives` none does."""
    waiting = remembered(port)
    gone = set(waiting if directives is None else directives)
    left = {name: value for name, value in waiting.items() if name not in gone}
    if left:
        _write(_waiting(port), left)
    else:
        _waiting(port).unlink(missing_ok=True)


def declare(port: int, directives: Iterable[str]) -> None:
    """Note which further directives of redis.parameters a server was given."""
    _write(_declared(port), sorted(directives))


def declared(port: int) -> list[str]:
    """The further directives that a server was given."""
    return list(_read(_declared(port), []))


@contextmanager
def saving(port: int) -> Iterator[None]:
    """Mark a server as changed until it has its values in its file too, or has those of before."""
    _unsaved(port).touch()
    try:
        yield
    except Failure:
        _unsaved(port).unlink(missing_ok=True)
        raise
    _unsaved(port).unlink(missing_ok=True)


def is_unsaved(port: int) -> bool:
    """Whether a change of a server was interrupted before it was kept."""
    return _unsaved(port).exists()


def _unsaved(port: int) -> Path:
    return STATE / f"redis-{port}.unsaved"


def _waiting(port: int) -> Path:
    return STATE / f"redis-{port}.restart.json"


def _declared(port: int) -> Path:
    return STATE / f"redis-{port}.parameters.json"


def _read(path: Path, otherwise: Any) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return otherwise


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
