"""What each configuration's last good installation left behind: a stamp per configuration.

Written by `transaction`; what it names is Stellwerk's, and nothing else on the host is.
"""

import json
from typing import Any

from .paths import STAMPS


def read_all() -> dict[str, Any]:
    """The stamps by the name of their configuration."""
    found = {}
    for path in STAMPS.glob("*.json"):
        try:
            found[path.stem] = json.loads(path.read_text())
        except ValueError:
            continue  # a stamp that cannot be read is no stamp: the configuration goes on again
    return found


def read(name: str) -> dict[str, Any]:
    """One stamp; empty where there is none."""
    try:
        return dict(json.loads((STAMPS / f"{name}.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def names() -> set[str]:
    return set(read_all())


def files(name: str, *, former: bool = False) -> list[str]:
    """The files that a configuration wrote, seeds too; with `former` also those kept of before."""
    stamp = read(name)
    kept = stamp.get("former", []) if former else []
    return list(dict.fromkeys([*stamp.get("files", []), *stamp.get("seeds", []), *kept]))


def remove(name: str) -> None:
    """Nothing of the configuration is left."""
    (STAMPS / f"{name}.json").unlink(missing_ok=True)
