"""Saved states of a host: which overlay folders it stands on, and going back to them.

Every step is ordered so that a kill between any two leaves a state that the next run can use.
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import files, image
from tests.lab.errors import LabError
from tests.lab.folders import HostFolders

BARE = "bare"
# The kernel takes all folder names of an overlay in one page of 4096 bytes.
MOST_LOWERS = 20


@dataclass(frozen=True)
class Stack:
    """What a host's writable folder lies on: an image and saved folders, the topmost last."""

    image: str
    layer: str = BARE
    lowers: tuple[str, ...] = ()

    def folders(self, host: HostFolders) -> list[Path]:
        """Return the read-only folders as an overlay wants them, the topmost first."""
        return [*(host.lowers / name for name in reversed(self.lowers)), image.path_of(self.image)]


def current(host: HostFolders) -> Stack | None:
    """Return what a host stands on, or None when it was never prepared."""
    if not host.stack.exists():
        return None
    return _existing(host, _read(host.stack))


def prepare(host: HostFolders, image_name: str, trash: Path) -> Stack:
    """Return the stack a host boots on. A host of another image starts bare on this one."""
    stack = current(host)
    if stack is None or stack.image != image_name:
        for folder in (host.upper, host.lowers, host.layers):
            _discard(folder, trash)
        stack = Stack(image_name)
        _write(host.stack, stack)
    return stack


def save(host: HostFolders, layer: str) -> None:
    """Make what a stopped host has written a layer of that name. Raises LabError when too deep."""
    stack = current(host)
    if stack is None or not host.upper.exists():
        raise LabError(f"The host {host.home.name} was never booted, so it has nothing to save.")
    if len(stack.lowers) >= MOST_LOWERS:
        raise LabError(
            f"The host {host.home.name} stands on {MOST_LOWERS} saved layers already: reset it to "
            f"{BARE} and build up what you want to save from there."
        )
    lower = str(time.time_ns())
    saved = Stack(stack.image, layer, (*stack.lowers, lower))
    # Until the rename the new folder does not exist, and `current` leaves it out.
    _write(host.stack, saved)
    host.lowers.mkdir(parents=True, exist_ok=True)
    host.upper.rename(host.lowers / lower)
    _write(host.layers / f"{layer}.json", saved)


def reset(host: HostFolders, layer: str, trash: Path) -> None:
    """Take a stopped host back to a layer. Raises LabError when it has no such layer."""
    stack = current(host)
    if stack is None and layer == BARE:
        return  # never booted, so nothing can be barer
    target = Stack(stack.image) if stack and layer == BARE else _saved(host, layer)
    _discard(host.upper, trash)
    _write(host.stack, target)
    _discard_unused(host, trash)


def check_saved(host: HostFolders, layer: str, image_name: str) -> None:
    """Raise LabError when a host on that image has no layer of that name to go back to."""
    if layer != BARE and _saved(host, layer).image != image_name:
        raise LabError(
            f"The layer {layer!r} of the host {host.home.name} lies on an outdated image: "
            f"reset the host to {BARE}, set it up again and save it again."
        )


def empty_trash(trash: Path) -> None:
    """Delete what was thrown away."""
    if trash.exists():
        shutil.rmtree(trash)


def _saved(host: HostFolders, layer: str) -> Stack:
    file = host.layers / f"{layer}.json"
    if not file.exists():
        names = sorted([BARE, *(path.stem for path in host.layers.glob("*.json"))])
        raise LabError(
            f"The host {host.home.name} has no saved layer {layer!r}: it has {', '.join(names)}. "
            f"`python -m tests.lab save {layer}` would make it."
        )
    return _read(file)


def _existing(host: HostFolders, stack: Stack) -> Stack:
    present = tuple(name for name in stack.lowers if (host.lowers / name).is_dir())
    return Stack(stack.image, stack.layer, present)


def _discard(folder: Path, trash: Path) -> None:
    if folder.exists():
        trash.mkdir(parents=True, exist_ok=True)
        folder.rename(trash / f"{folder.name}-{time.time_ns()}")


def _discard_unused(host: HostFolders, trash: Path) -> None:
    stacks = [_read(file) for file in [host.stack, *host.layers.glob("*.json")]]
    used = {name for stack in stacks for name in stack.lowers}
    for folder in host.lowers.glob("*"):
        if folder.name not in used:
            _discard(folder, trash)


def _read(file: Path) -> Stack:
    stored = json.loads(file.read_text(encoding="utf-8"))
    return Stack(stored["image"], stored["layer"], tuple(stored["lowers"]))


def _write(file: Path, stack: Stack) -> None:
    content = {"image": stack.image, "layer": stack.layer, "lowers": stack.lowers}
    files.write(file, json.dumps(content) + "\n")
