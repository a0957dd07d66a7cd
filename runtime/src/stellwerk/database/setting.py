"""What one PostgreSQL setting is: its name, its value as text, and why it has that value.

Which values a host gets is decided in `tuning`; how they become a file in `configuration`.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

ParameterValue = str | int | float | bool
"""A value as people write it in the settings; `value_text` turns it into PostgreSQL's text."""

_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_DIRECTIVES = frozenset({"include", "include_dir", "include_if_exists"})


class SettingError(ValueError):
    """A name or a value that cannot stand in a PostgreSQL configuration."""


class Source(StrEnum):
    """Where a figure comes from."""

    SPECIFICATION = "specification 4.1"
    DOCUMENTATION = "PostgreSQL documentation"
    COMMON_PRACTICE = "agreed by the public tuning tools"
    MEASURED = "measured"
    COMPUTED = "computed from this host's memory"
    OPERATOR = "given in the settings"


@dataclass(frozen=True)
class Setting:
    """One parameter with its value as PostgreSQL reads it, and one sentence for the operator."""

    name: str
    value: str
    reason: str
    source: Source


def given(name: str, value: ParameterValue) -> Setting:
    """A setting that the operator gave.

    Raises `SettingError` for a name or value that cannot stand in a configuration file.
    """
    reason = "Not computed, as a value was given."
    return Setting(check_name(name), value_text(name, value), reason, Source.OPERATOR)


def check_name(name: str) -> str:
    """Return `name` if it looks like a PostgreSQL parameter, else raise `SettingError`."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"{name!r} is no PostgreSQL parameter name: use lower-case letters, digits and "
            "underscores, with at most one dot for an extension's parameter."
        )
    if name in _DIRECTIVES:
        raise SettingError(
            f"{name} reads another file and is no parameter: give that file's parameters instead."
        )
    return name


def value_text(name: str, value: ParameterValue) -> str:
    """Return the text PostgreSQL reads for `value`; `name` is used in the error only."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{name} = {value} is no finite number: give a number.")
    text = str(value)
    if "\x00" in text:
        raise SettingError(f"{name} contains a NUL byte, which PostgreSQL cannot read: remove it.")
    return text
