"""The units metrics are kept and shown in, and the base units they are exposed in. Pure."""

from enum import Enum
from typing import Final


class Unit(Enum):
    """A unit. The name of a metric ends in the unit's suffix, so that a figure is never unclear."""

    NUMBER = ("", "", "", 1.0)
    FLAG = ("", "", "", 1.0)
    """1 for yes, 0 for no."""
    PERCENT = ("percent", "%", "ratio", 0.01)
    MILLISECONDS = ("ms", "ms", "seconds", 0.001)
    SECONDS = ("seconds", "s", "seconds", 1.0)
    BYTES = ("bytes", "B", "bytes", 1.0)
    MEGABYTES = ("mb", "MB", "bytes", 1024.0**2)
    """Of 1024 x 1024 bytes, as everywhere in the settings."""
    CORE_PERCENT = ("percent", "%", "seconds", 0.01)
    """Of one CPU core. Its counter is CPU time in seconds."""
    PER_SECOND = ("per_second", "/s", "", 1.0)
    PER_MINUTE = ("per_minute", "/min", "", 1 / 60)
    PER_HOUR = ("per_hour", "/h", "", 1 / 3600)
    BYTES_PER_SECOND = ("bytes_per_second", "B/s", "bytes", 1.0)

    def __init__(self, suffix: str, symbol: str, base: str, factor: float) -> None:
        self.suffix: Final = suffix
        """How names of metrics in this unit end; "" where they end as they like."""
        self.symbol: Final = symbol
        """For people, behind a figure."""
        self.base: Final = base
        """The base unit of expositions: of the value or, where that is a rate, of its counter."""
        self.factor: Final = factor
        """Base units (for a rate: per second) in one of this unit."""

    # Two units of one scale are two units: without their place in the list NUMBER would be FLAG.
    def __new__(cls, *_facts: object) -> "Unit":
        unit = object.__new__(cls)
        unit._value_ = len(cls.__members__)
        return unit

    @property
    def is_rate(self) -> bool:
        """Whether it is something per time."""
        return self in _RATES


_RATES: Final = frozenset(
    {
        Unit.CORE_PERCENT,
        Unit.PER_SECOND,
        Unit.PER_MINUTE,
        Unit.PER_HOUR,
        Unit.BYTES_PER_SECOND,
    }
)
_SPECIAL: Final = frozenset({Unit.NUMBER, Unit.FLAG, Unit.CORE_PERCENT})


def unit_by_name(name: str) -> Unit:
    """The unit that the name of somebody else's metric ends in; NUMBER if it names none."""
    found = [
        unit for unit in Unit if unit not in _SPECIAL and f"_{name}".endswith(f"_{unit.suffix}")
    ]
    return max(found, key=lambda unit: len(unit.suffix), default=Unit.NUMBER)
