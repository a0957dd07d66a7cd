"""Renders a tuning and further parameters as a drop-in for PostgreSQL's conf.d folder.

Which values a host gets is decided in `tuning`; putting the file in place is the deploy's work.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from stellwerk.database.quantities import MEBIBYTE
from stellwerk.database.setting import ParameterValue, Setting, SettingError, check_name, given
from stellwerk.database.tuning import Tuning

_BARE_VALUE: Final = re.compile(r"-?\d+(\.\d+)?|\d+(B|kB|MB|GB|TB|us|ms|s|min|h|d)|on|off")
_ESCAPES: Final = {
    "'": "''",
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}


def render(tuning: Tuning, parameters: Mapping[str, ParameterValue]) -> str:
    """The drop-in's text: the tuning with its reasons, then `parameters` by name.

    Raises `SettingError` for a name that is none, a value that cannot be written, or a parameter
    that the tuning sets already: its memory was planned with its own value.
    """
    for name in sorted(parameters.keys() & tuning.names):
        raise SettingError(
            f"{name} is chosen by the tuning: give your value to the tuning as an explicit one, "
            "so that memory is planned with it."
        )
    further = (given(name, parameters[name]) for name in sorted(parameters))
    return "\n".join((_header(tuning), *_blocks(tuning.settings), *_blocks(further)))


def quote_value(value: str) -> str:
    """Write `value` as PostgreSQL's configuration files want it: quoted unless plainly a number.

    Raises `SettingError` for a NUL byte.
    """
    if "\x00" in value:
        raise SettingError("A configuration value cannot hold a NUL byte: remove it.")
    if _BARE_VALUE.fullmatch(value):
        return value
    return "'" + "".join(_ESCAPES.get(character, character) for character in value) + "'"


def _header(tuning: Tuning) -> str:
    worst, limit, ram = (
        count // MEBIBYTE
        for count in (tuning.worst_case_bytes, tuning.limit_bytes, tuning.ram_bytes)
    )
    return (
        "# Written by Stellwerk; the next deploy replaces changes made here.\n"
        f"# At worst PostgreSQL takes {worst}MB, {tuning.worst_case_share_of_ram:.1%} of this "
        f"host's {ram}MB; it may take {limit}MB.\n"
    )


def _blocks(settings: Iterable[Setting]) -> Iterable[str]:
    for setting in settings:
        comment = f"# {setting.reason} ({setting.source})"
        yield f"{comment}\n{check_name(setting.name)} = {quote_value(setting.value)}\n"
