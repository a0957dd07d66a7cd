"""Pin an instance of this host to a generation, so that it starts with it, also after a reboot.

A pin is a link to the generation's unit and one that has it started at boot. Only declared services
and ports and generations that are here are pinned: whoever asks is not trusted.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from . import generations, units
from .command import Failure, run, run_or_fail
from .generations import locked, pinned, unit_of
from .paths import AGENT_CONFIGURATION, UNITS

_INSTANCE = re.compile(r"([a-z][a-z0-9-]{0,63})[:@]([1-9][0-9]{0,4})")
_GENERATION = re.compile(r"[0-9a-f]{16}")


def pin(asked: str) -> int:
    """Pin `NAME:PORT:GENERATION`; does nothing where that is so.

    Raises:
        Failure: it names no instance that may run here, or a generation that is not here.
    """
    instance, _, generation = asked.rpartition(":")
    service, port = _declared(instance)
    if not _GENERATION.fullmatch(generation):
        raise Failure(f"{asked} names no generation")
    with locked():
        unit = unit_of(service, generation)
        if unit.is_symlink() or not unit.is_file():
            raise Failure(
                f"generation {generation} of {service} is not on this host; run the deploy again"
            )
        link, wanted = _links(service, port)
        if _leads_to(link, unit) and _leads_to(wanted, link):
            return 0
        # Wanted at boot comes last: where both are right, systemd has read the link as well.
        wanted.unlink(missing_ok=True)
        _point(link, unit)
        units.daemon_reload()
        wanted.parent.mkdir(exist_ok=True)
        _point(wanted, link)
    return 0


def unpin(asked: str) -> int:
    """Take the pin off `NAME:PORT`; does nothing where there is none.

    Raises:
        Failure: it names no instance that may run here, or the instance runs.
    """
    service, port = _declared(asked)
    if units.state(f"{service}@{port}.service").get("ActiveState") in ("active", "activating"):
        raise Failure(f"{service}@{port} runs, so its pin stays")
    with locked():
        _remove(service, port)
    return 0


def remove_instances(document: dict[str, Any]) -> None:
    """Stop and unpin instances that no agent knows any more: their service or port is gone.

    Their generations go with them, but for those of `kept`.

    Raises:
        Failure: one did not stop.
    """
    for name in document["instances"]:
        service, port = _parsed(name)
        if name not in pinned():
            continue
        run_or_fail(["systemctl", "stop", f"{name}.service"], timeout=units.START_TIMEOUT_SECONDS)
        run(["systemctl", "reset-failed", f"{name}.service"])
        with locked():
            _remove(service, port)
    generations.prune(document["keep"], set(document["kept"]))


def _remove(service: str, port: int) -> None:
    link, wanted = _links(service, port)
    if not (link.is_symlink() or wanted.is_symlink()):
        return
    wanted.unlink(missing_ok=True)
    link.unlink(missing_ok=True)
    units.daemon_reload()


def _parsed(instance: str) -> tuple[str, int]:
    found = _INSTANCE.fullmatch(instance)
    if found is None:
        raise Failure(f"{instance} names no instance")
    return found[1], int(found[2])


def _declared(instance: str) -> tuple[str, int]:
    service, port = _parsed(instance)
    declared = json.loads(AGENT_CONFIGURATION.read_text())["services"].get(service)
    if declared is None or not declared["first_port"] <= port <= declared["last_port"]:
        raise Failure(f"{service} with port {port} is not declared on this host")
    return service, port


def _links(service: str, port: int) -> tuple[Path, Path]:
    name = f"{service}@{port}.service"
    return UNITS / name, UNITS / "multi-user.target.wants" / name


def _leads_to(link: Path, target: Path) -> bool:
    return link.is_symlink() and link.readlink() == target


def _point(link: Path, target: Path) -> None:
    temporary = link.parent / f".{link.name}.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
