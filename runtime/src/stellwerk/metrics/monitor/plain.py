"""The host's settings without the library that validates them, which would be a third of the
monitor's memory.

`validated` reads and checks them in a process of its own, and hands over plain objects with the
same attributes.
"""

import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from stellwerk.settings.files import HostFile

_SECONDS: Final = 30
_MODULE: Final = "stellwerk.metrics.monitor.validated"


class SettingsUnreadableError(Exception):
    """The settings cannot be read; the message says which file, what is wrong and what to do."""


class Plain(SimpleNamespace):
    """A part of the settings: what was validated, as attributes."""


class PlainSecret:
    """A secret of the settings. It is never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = value

    @property
    def given(self) -> bool:
        """Whether this process was handed it."""
        return self._value is not None

    def get_secret_value(self) -> str:
        """The secret itself; LookupError where this process was not handed it."""
        if self._value is None:
            raise LookupError("this secret was not given to this process")
        return self._value

    def __repr__(self) -> str:
        return "PlainSecret('**********')"


def load(path: Path) -> "HostFile":
    """What the host's file says, with the secrets this process was given. Raises
    SettingsUnreadableError.
    """
    command = [sys.executable, "-m", _MODULE, str(path)]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
    if ran.returncode:
        raise SettingsUnreadableError(ran.stderr.decode(errors="replace").strip())
    return cast("HostFile", pickle.loads(ran.stdout))  # noqa: S301 - it comes from our own child
