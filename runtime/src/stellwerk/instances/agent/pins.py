"""Which generation each unit of this host is pinned to, and which generations are here. Reads only:
pins are made by root's units.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from stellwerk.instances.model import InstanceKey

UNITS: Final = Path("/etc/systemd/system")
GENERATIONS: Final = Path("/etc/stellwerk/generations")

_UNIT: Final = re.compile(r"(?P<service>[^@/]+)@(?P<port>[0-9]{1,5})\.service")
_GENERATION: Final = re.compile(r"[0-9a-f]{16}")


def pins(services: Iterable[str], folder: Path = UNITS) -> Mapping[InstanceKey, str]:
    """The generation of every pinned instance of these services: a link NAME@PORT.service to
    GENERATION/NAME@.service."""
    names = frozenset(services)
    found: dict[InstanceKey, str] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        unit = _UNIT.fullmatch(path.name)
        if unit is None or unit["service"] not in names or not path.is_symlink():
            continue
        generation = path.readlink().parent.name
        if _GENERATION.fullmatch(generation):
            found[InstanceKey(unit["service"], int(unit["port"]))] = generation
    return found


def generations(services: Iterable[str], folder: Path = GENERATIONS) -> frozenset[tuple[str, str]]:
    """The generations of these services that are on this host, as (service, generation). Their
    folders can be read by everyone, unlike the environments in them."""
    return frozenset(
        (service, path.name)
        for service in services
        if (folder / service).is_dir()
        for path in (folder / service).iterdir()
        if _GENERATION.fullmatch(path.name) and (path / f"{service}@.service").is_file()
    )


def pin_unit(key: InstanceKey, generation: str) -> str:
    """The unit of root that pins an instance to a generation."""
    return f"stellwerk-pin@{key.service}:{key.port}:{generation}.service"


def unpin_unit(key: InstanceKey) -> str:
    """The unit of root that takes an instance's pin away."""
    return f"stellwerk-unpin@{key.service}:{key.port}.service"
