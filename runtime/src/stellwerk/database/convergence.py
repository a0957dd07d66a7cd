"""Whether desired settings are in force on a server, and if not, why and what it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stellwerk.database.quantities import QuantityError, in_base_unit
from stellwerk.database.state import ServerSetting, ServerState

_TRUE_WORDS: Final = frozenset({"on", "true", "yes", "1"})
_RELATIVE_PRECISION: Final = 1e-9
# Where a value comes from that no configuration file can change (pg_settings.source).
_STRONGER_SOURCES: Final = frozenset(
    {"command line", "environment variable", "database", "user", "database user"}
)


class Obstacle(StrEnum):
    """What keeps a desired value from being in force."""

    RELOAD = "needs a reload"
    RESTART = "needs a restart"
    SHADOWED = "is overridden elsewhere"


@dataclass(frozen=True)
class Difference:
    """A parameter that is not what it should be; `source_file` set its present value."""

    name: str
    desired: str
    present: str | None
    obstacle: Obstacle
    source_file: str | None


def differences(
    desired: Mapping[str, str], state: ServerState, drop_in: str
) -> tuple[Difference, ...]:
    """Every parameter of `desired` that is not in force, by name.

    `drop_in` is the path of the file that sets them, which must have been written before. Values
    are compared as PostgreSQL means them: 256MB of shared_buffers are 32768 pages.
    """
    shadowed = _shadowed(state, drop_in)
    return tuple(
        Difference(
            name,
            value,
            None if present is None else present.setting,
            _obstacle(name, present, shadowed),
            None if present is None else present.source_file,
        )
        for name, value in sorted(desired.items())
        if not _in_force(value, present := state.settings.get(name))
    )


def pending_restart(state: ServerState) -> tuple[str, ...]:
    """The parameters whose new value waits for a restart, by name, as the server says."""
    return tuple(sorted(name for name, each in state.settings.items() if each.pending_restart))


def same_value(desired: str, present: ServerSetting) -> bool:
    """Whether `desired`, as written in a configuration file, means what is in force."""
    match present.type:
        case "bool":
            return (desired.lower() in _TRUE_WORDS) == (present.setting.lower() in _TRUE_WORDS)
        case "integer" | "real":
            return _same_quantity(desired, present)
        case "enum":
            return desired.lower() == present.setting.lower()
        case _:
            return desired == present.setting


def _in_force(desired: str, present: ServerSetting | None) -> bool:
    return present is not None and same_value(desired, present)


def _same_quantity(desired: str, present: ServerSetting) -> bool:
    try:
        wanted = in_base_unit(desired, present.unit)
        actual = in_base_unit(present.setting, None)
    except QuantityError:
        return False
    if present.type == "integer":
        return round(wanted) == round(actual)
    return abs(wanted - actual) <= _RELATIVE_PRECISION * max(abs(wanted), abs(actual))


def _shadowed(state: ServerState, drop_in: str) -> frozenset[str]:
    """The parameters that another file sets after `drop_in`, so that theirs wins."""
    lines = [(each.name, each.source_file) for each in state.file_settings if each.name is not None]
    last = dict(lines)
    return frozenset(name for name, file in lines if file == drop_in and last[name] != drop_in)


def _obstacle(name: str, present: ServerSetting | None, shadowed: frozenset[str]) -> Obstacle:
    if name in shadowed:
        return Obstacle.SHADOWED
    if present is None:
        return Obstacle.RELOAD
    if present.pending_restart:
        return Obstacle.RESTART
    return Obstacle.SHADOWED if present.source in _STRONGER_SOURCES else Obstacle.RELOAD
