"""Cells in columns that fit a width. Pure."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stellwerk.terminal.paint import Paint, Tone

_GAP: Final = "  "
_CUT: Final = "…"


@dataclass(frozen=True)
class Cell:
    """A piece of text and what it means."""

    text: str
    tone: Tone = Tone.NONE


@dataclass(frozen=True)
class Column:
    """How a column stands. One with `least` gives room away down to so many letters; what then does
    not fit is cut, or in a last column that is `wrapped` goes on below.
    """

    heading: str
    right: bool = False
    least: int | None = None
    wrapped: bool = False


def natural_width(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """Letters that a line takes where nothing is cut."""
    return _line_width(_widths(columns, list(rows)))


def laid_out(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int, paint: Paint
) -> list[str]:
    """The lines of a table, its headings first. Columns that have a `least` give room away, widest
    first, until a line fits; where that does not do, lines are longer.
    """
    widths = _fitted(columns, _widths(columns, rows), width)
    headings = [Cell(column.heading, Tone.DIM) for column in columns]
    return [line for row in (headings, *rows) for line in _lines(columns, row, widths, paint)]


def shortened(text: str, width: int) -> str:
    """The text, or its beginning with a mark that something is cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + _CUT


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [
        max([len(column.heading), *(len(row[place].text) for row in rows)])
        for place, column in enumerate(columns)
    ]


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    fitted = list(widths)
    for _ in range(max(0, _line_width(widths) - width)):
        elastic = [
            place
            for place, column in enumerate(columns)
            if column.least is not None and fitted[place] > column.least
        ]
        if not elastic:
            break
        fitted[max(elastic, key=lambda place: fitted[place])] -= 1
    return fitted


def _lines(
    columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], paint: Paint
) -> Iterator[str]:
    """The line of a row, and those on which its last cell goes on."""
    *cells, last = row
    if not columns[-1].wrapped:
        yield _line(columns, row, widths, paint)
        return
    indent = " " * (sum(widths[:-1]) + len(_GAP) * len(cells))
    first, *more = textwrap.wrap(last.text, widths[-1]) or [""]
    yield _line(columns, [*cells, Cell(first, last.tone)], widths, paint)
    for text in more:
        yield indent + paint(text, last.tone)


def _line(
    columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], paint: Paint
) -> str:
    cells = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        text = shortened(cell.text, width)
        blank = " " * (width - len(text))
        painted = paint(text, cell.tone)
        cells.append(blank + painted if column.right else painted + blank)
    return _GAP.join(cells).rstrip()
