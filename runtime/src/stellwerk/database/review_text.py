"""The review of a server's settings as text for people, 80 columns wide. Pure."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from stellwerk.database.quantities import MEBIBYTE
from stellwerk.database.review import Row, Standing
from stellwerk.database.tuning import Tuning
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.paint import Paint, Tone

WIDTH: Final = 80
_LEAST_VALUE: Final = 8
_COLUMNS: Final = (
    Column("setting"),
    Column("recommended", least=len("recommended")),
    Column("our file", least=_LEAST_VALUE),
    Column("in force", least=_LEAST_VALUE),
    Column("restart", least=len("restart")),
)
_UNSET, _SAME = "-", "same"


def review_text(
    rows: Sequence[Row], tuning: Tuning, warnings: Sequence[str], *, explain: bool, paint: Paint
) -> list[str]:
    """The table, with reasons below each setting if they are asked for, then what to do."""
    table = laid_out(_COLUMNS, [_cells(row) for row in rows], WIDTH, paint)
    lines = [table[0]]
    for row, line in zip(rows, table[1:], strict=True):
        lines.append(line)
        if explain:
            lines += [paint(text, Tone.DIM) for text in _reason(row)]
    lines.append("")
    lines += [line for text in _summary(rows, tuning) for line in wrap(text, WIDTH)]
    for warning in warnings:
        lines += [paint(line, Tone.BAD) for line in wrap(f"! {warning}", WIDTH)]
    return lines


def _cells(row: Row) -> tuple[Cell, ...]:
    tone = Tone.NONE if row.standing is Standing.IN_FORCE else Tone.WEAK
    recommended = row.recommended.value

    def beside(value: str | None) -> str:
        return _UNSET if value is None else _SAME if value == recommended else value

    others = map(beside, (row.configured, row.in_force, row.after_restart))
    texts = (row.recommended.name, recommended, *others)
    return tuple(Cell(text, tone) for text in texts)


def _reason(row: Row) -> list[str]:
    setting = row.recommended
    standing = "" if row.standing is Standing.IN_FORCE else f" It {row.standing}."
    text = f"{setting.reason} ({setting.source}){standing}"
    return wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _summary(rows: Sequence[Row], tuning: Tuning) -> Iterator[str]:
    worst, limit, ram = (
        count // MEBIBYTE
        for count in (tuning.worst_case_bytes, tuning.limit_bytes, tuning.ram_bytes)
    )
    yield (
        f"At worst PostgreSQL takes {worst} MB, {100 * tuning.worst_case_share_of_ram:.1f} % of "
        f"the {ram} MB of RAM; it may take {limit} MB."
    )
    if all(row.standing is Standing.IN_FORCE for row in rows):
        yield "Everything recommended is in force."
    for standing, what in _TO_DO.items():
        names = [row.recommended.name for row in rows if row.standing is standing]
        if names:
            yield f"{what}: {', '.join(names)}."


_TO_DO: Final = {
    Standing.SETTINGS: "Measured; set in postgresql in group_data to have it",
    Standing.DEPLOY: "The next deploy writes",
    Standing.RELOAD: "A reload brings",
    Standing.RESTART: "A restart brings",
    Standing.SHADOWED: "Overridden by another file",
    Standing.UNKNOWN: "Unknown to this server",
}
