"""What the agent keeps of its instances over its own restarts, in one file of its state folder.

Without the file nothing is lost but a restart that happened while the agent was away.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from stellwerk.instances.facts import Remembered
from stellwerk.instances.model import InstanceKey


class Memory:
    """Of each instance what became ready and how often it failed; written when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _read(path)

    @property
    def all(self) -> Mapping[InstanceKey, Remembered]:
        return self._kept

    def of(self, key: InstanceKey) -> Remembered:
        return self._kept.get(key, Remembered())

    def keep(self, key: InstanceKey, remembered: Remembered) -> None:
        if self._kept.get(key) != remembered:
            self._kept = {**self._kept, key: remembered}
            self._write()

    def forget(self, key: InstanceKey) -> None:
        if key in self._kept:
            self._kept = {one: about for one, about in self._kept.items() if one != key}
            self._write()

    def _write(self) -> None:
        document = [{**key._asdict(), **asdict(about)} for key, about in self._kept.items()]
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self._path)


def _read(path: Path) -> dict[InstanceKey, Remembered]:
    try:
        return {
            InstanceKey(str(one.pop("service")), int(one.pop("port"))): Remembered(**one)
            for one in json.loads(path.read_text(encoding="utf-8"))
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # of another release, or cut off: as if the agent were new
