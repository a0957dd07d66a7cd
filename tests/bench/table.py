"""A table of figures beside their bars."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value as text, with its unit, and the bar it is held to."""

    what: str
    measured: str
    bar: str


def show(title: str, figures: Iterable[Figure]) -> None:
    """Print the figures, one a line."""
    rows = [("", "measured", "bar")]
    rows += [(figure.what, figure.measured, figure.bar) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))
