"""The generations of services on this host: which are kept, and which releases these need.

A generation is a folder with a unit, its environment and the name of its release. What an instance
is pinned to is in `pin`.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import stamps
from .paths import CREDENTIALS, GENERATIONS, UNITS, remove_if_empty

_NAME = re.compile(r"[0-9a-f]{16}")


@contextmanager
def locked() -> Iterator[None]:
    """Keep pins and generations as they are for everybody else; a sandbox may do it too."""
    descriptor = os.open(GENERATIONS, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unit_of(service: str, generation: str) -> Path:
    """The unit of a generation, which instances are linked to."""
    return GENERATIONS / service / generation / f"{service}@.service"


def pinned() -> dict[str, str]:
    """Per instance that is pinned (`NAME@PORT`): its generation."""
    found = {}
    for path in UNITS.glob("*@*.service"):
        target = path.readlink() if path.is_symlink() else Path()
        service = path.name.partition("@")[0]
        if target == unit_of(service, target.parent.name):
            found[path.name.removesuffix(".service")] = target.parent.name
    return found


def prune(keep: int, current: set[str]) -> int:
    """Remove all generations but those that instances are pinned to, `current`, the newest `keep`.

    `current` holds `NAME:GENERATION`; a service that it does not name is gone from the settings.
    """
    with locked():
        pins = {f"{name.partition('@')[0]}:{found}" for name, found in pinned().items()}
        services = {name.partition(":")[0] for name in current | pins}
        for folder in filter(Path.is_dir, GENERATIONS.iterdir()):
            present = sorted(_generations_in(folder), key=lambda path: path.stat().st_mtime)
            newest = present[-keep:] if folder.name in services else []
            for one in set(present) - set(newest):
                if f"{folder.name}:{one.name}" not in current | pins:
                    shutil.rmtree(one)
            if folder.name not in services and present:
                (UNITS / f"{folder.name}@.service").unlink(missing_ok=True)
                remove_if_empty(folder)
        _remove_unused_credentials()
    return 0


def _generations_in(folder: Path) -> Iterator[Path]:
    """The generations of a service; what else lies in its folder is somebody else's."""
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _remove_unused_credentials() -> None:
    """Remove secrets of services that no kept generation is handed; others' are not named here."""
    units = "".join(path.read_text() for path in GENERATIONS.glob("*/*/*@.service"))
    for path in map(Path, stamps.files("services", former=True)):
        if path.parent == CREDENTIALS and f":{path}\n" not in units:
            path.unlink(missing_ok=True)


def releases() -> set[str]:
    """The releases that a kept generation runs; they must not be removed."""
    named = {path.read_text().strip() for path in GENERATIONS.glob("*/*/release")}
    return named - {""}
