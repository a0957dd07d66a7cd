"""Reads and validates a host's settings and writes them as plain objects: see `plain`."""

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stellwerk.metrics.monitor.plain import Plain, PlainSecret
from stellwerk.settings.errors import SettingsError
from stellwerk.settings.files import read_host_file
from stellwerk.settings.types import Secret


def main(path: Path) -> None:
    """Write the settings to standard output; what is wrong with them ends this process."""
    try:
        found = read_host_file(path)
    except SettingsError as error:
        sys.exit(f"Error: {error}")
    members = tuple(Plain(**vars(member)) for member in found.members)
    document = Plain(name=found.name, members=members, settings=plain(found.settings))
    sys.stdout.buffer.write(pickle.dumps(document))


def plain(value: Any) -> Any:
    """The same without classes of the settings."""
    if isinstance(value, BaseModel):
        return Plain(**{name: plain(getattr(value, name)) for name in type(value).model_fields})
    if isinstance(value, Secret):
        return PlainSecret(value.get_secret_value() if value.given else None)
    if isinstance(value, Mapping):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    for kind in (bool, int, float, str):  # classes of them become the thing itself
        if isinstance(value, kind):
            return kind(value)
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
