"""Ages, sizes and shares in the few letters a column has."""

from typing import Final

_UNITS_OF_TIME: Final = (("d", 86400), ("h", 3600), ("m", 60))
_UNITS_OF_SIZE: Final = (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024))
_UNITS_OF_AMOUNT: Final = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
_ENOUGH_DIGITS: Final = 10
_SMALLEST: Final = 0.0005
_LARGEST: Final = 999.5e12
_THREE_DECIMALS_BELOW: Final = 0.1
_SPELT_OUT_BELOW: Final = 10_000
_WHOLE_FROM: Final = 999.5
_ROUNDED_UP: Final = 0.9995  # from here on three digits would show the next power of ten


def age(seconds: float) -> str:
    """A length of time, whole, in the largest unit that is reached: "45s", "12m", "3h", "20d"."""
    whole = max(0, int(seconds))
    for unit, length in _UNITS_OF_TIME:
        if whole >= length:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def size(count: int | None) -> str:
    """Bytes: "512 MB", "1.5 GB"; "-" if unknown."""
    if count is None:
        return "-"
    for unit, length in _UNITS_OF_SIZE:
        if count >= length:
            number = count / length
            return f"{number:.{0 if number >= _ENOUGH_DIGITS else 1}f} {unit}"
    return f"{count} B"


def percent(value: float | None) -> str:
    """A share: "7 %"; "-" if unknown."""
    return "-" if value is None else f"{value:.0f} %"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 instance", "2 instances"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def bar(share: float, width: int) -> str:
    """A bar of so many letters, filled from 0 to 1; full only when all is done."""
    filled = int(min(1.0, max(0.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def short(value: float | None) -> str:
    """A figure in at most six letters: "0.042", "12.5", "1250", "12.5k", "3.2M"; "-" if unknown."""
    if value is None:
        return "-"
    size = abs(value)
    if size and not _SMALLEST <= size < _LARGEST:
        return f"{value:.0e}"
    if size < _THREE_DECIMALS_BELOW:
        return f"{value:.3f}".rstrip("0").rstrip(".")
    for letter, unit in _UNITS_OF_AMOUNT:
        if size >= max(unit, _SPELT_OUT_BELOW) * _ROUNDED_UP:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.0f}" if size >= _WHOLE_FROM else f"{value:.3g}"
