"""The list of instances for a terminal, at least 80 columns wide. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from stellwerk.instances.generation import short
from stellwerk.instances.listing import HELD, Listing, LostAgent, Row, ServiceRows
from stellwerk.instances.model import Role, Seen, State
from stellwerk.terminal.columns import Cell, Column, laid_out, natural_width, shortened
from stellwerk.terminal.figures import age, percent, plural, size
from stellwerk.terminal.paint import Paint, Tone, one_line, printable

LEAST_WIDTH: Final = 80
_LEAST_HOST_WIDTH: Final = 5
_LEAST_ROTATION_WIDTH: Final = 8
_LEAST_GENERATION_WIDTH: Final = 8  # of its short form; only the heading is longer
_NOTE_INDENT: Final = "       "
_MOST_NOTE_LINES: Final = 3
_STATE_TONES: Final = {
    State.READY: Tone.GOOD,
    State.STARTING: Tone.WEAK,
    State.DRAINING: Tone.WEAK,
    HELD: Tone.WEAK,
    State.FAILED: Tone.BAD,
}
_SEEN_TONES: Final = {
    Seen.UP: Tone.GOOD,
    Seen.DOWN: Tone.BAD,
    Seen.DRAINING: Tone.WEAK,
    Seen.OUT: Tone.DIM,
}
_ROLE_NAMES: Final = {Role.APPS: "", Role.BALANCERS: "balancer "}


def table(shown: Listing, width: int, paint: Paint) -> list[str]:
    """The lines of the list and its footer, none longer than `width` (or 80 if that is more)."""
    width = max(width, LEAST_WIDTH)
    if not shown.services:
        return [*_footer(shown, width, paint)]
    per_balancer = _per_balancer(shown, width)
    rows = [_cells(shown, row, per_balancer) for row in shown.rows]
    heading, *lines = laid_out(_columns(shown, per_balancer), rows, width, paint)
    drawn = iter(zip(shown.rows, lines, strict=True))
    out = [heading]
    for service in shown.services:
        out.append(_service_line(service, width, paint))
        for _ in service.rows:
            row, line = next(drawn)
            out.append(line)
            out += _note_lines(row, width, paint, with_rotation=not per_balancer)
    return [*out, "", *_footer(shown, width, paint)]


def _columns(shown: Listing, per_balancer: bool) -> list[Column]:
    if per_balancer:
        rotation = [Column(printable(name)) for name in shown.balancers]
    else:
        rotation = [Column("ROTATION", least=_LEAST_ROTATION_WIDTH)]
    return [
        Column("  PORT", right=True),
        Column("HOST", least=_LEAST_HOST_WIDTH),
        Column("STATE"),
        Column("SINCE", right=True),
        Column("GENERATION", least=_LEAST_GENERATION_WIDTH),
        Column("CPU", right=True),
        Column("MEMORY", right=True),
        Column("RESTARTS", right=True),
        *rotation,
    ]


def _per_balancer(shown: Listing, width: int) -> bool:
    """Whether each balancer can have a column of its own."""
    if not shown.balancers:
        return False
    columns = _columns(shown, per_balancer=True)
    cells = [_cells(shown, row, per_balancer=True) for row in shown.rows]
    host = max((len(row.instance.host) for row in shown.rows), default=0)
    return natural_width(columns, cells) - max(0, host - _LEAST_HOST_WIDTH * 2) <= width


def _cells(shown: Listing, row: Row, per_balancer: bool) -> list[Cell]:
    instance, sample = row.instance, row.sample
    old = Tone.DIM if row.lost else Tone.NONE
    cells = [
        Cell(str(instance.key.port), Tone.DIM if row.lost else Tone.STRONG),
        Cell(printable(instance.host), old),
        Cell(f"{row.state}{'?' if row.lost else ''}", _state_tone(row)),
        Cell(age((shown.at - instance.since).total_seconds()), old),
        Cell(short(instance.generation), old),
        Cell(percent(sample.cpu_percent if sample else None), old),
        Cell(size(sample.memory_bytes if sample else None), old),
        Cell(str(instance.restarts), Tone.WEAK if instance.restarts and not row.lost else old),
    ]
    if per_balancer:
        return [*cells, *(_seen_cell(row.seen.get(name)) for name in shown.balancers)]
    return [*cells, _rotation_cell(row)]


def _state_tone(row: Row) -> Tone:
    return Tone.DIM if row.lost else _STATE_TONES[row.state]


def _seen_cell(seen: Seen | None) -> Cell:
    return Cell("-", Tone.DIM) if seen is None else Cell(str(seen), _SEEN_TONES[seen])


def _rotation_cell(row: Row) -> Cell:
    """All balancers in one cell; where they differ, the line below names them."""
    kinds = set(row.seen.values())
    if len(kinds) <= 1:
        return _seen_cell(next(iter(kinds), None))
    up = sum(seen is Seen.UP for seen in row.seen.values())
    return Cell(f"up {up}/{len(row.seen)}", Tone.WEAK)


def _note_lines(row: Row, width: int, paint: Paint, *, with_rotation: bool) -> Iterator[str]:
    parts = [one_line(row.note)] if row.note else []
    if with_rotation and len(set(row.seen.values())) > 1:
        parts.append(", ".join(f"{name} {seen}" for name, seen in sorted(row.seen.items())))
    if not parts:
        return
    lines = textwrap.wrap(
        "; ".join(parts), width - len(_NOTE_INDENT), max_lines=_MOST_NOTE_LINES, placeholder=" …"
    )
    tone = Tone.BAD if row.instance.state is State.FAILED else Tone.DIM
    for line in lines:
        yield f"{_NOTE_INDENT}{paint(line, tone)}"


def _service_line(one: ServiceRows, width: int, paint: Paint) -> str:
    name = shortened(printable(one.service.name), width // 2)
    counts = f"{one.ready} ready of {one.desired} desired"
    tone = Tone.GOOD if one.ready >= one.desired else Tone.WEAK
    if not one.ready and one.desired:
        tone = Tone.BAD
    return f"{paint(name, Tone.STRONG)}  {paint(counts, tone)}"


def _footer(shown: Listing, width: int, paint: Paint) -> Iterator[str]:
    rows = shown.rows
    states = Counter(row.state for row in rows)
    counted = ", ".join(f"{states[word]} {word}" for word in (*State, HELD) if states[word])
    sentence = plural(len(rows), "instance") + (f": {counted}" if counted else "")
    desired = sum(one.desired for one in shown.services)
    present = sum(one.present for one in shown.services)
    sentence += f"; {desired} desired, {present} present in all"
    yield from textwrap.wrap(sentence, width)
    for lost in shown.lost:
        yield from (
            paint(line, Tone.BAD) for line in textwrap.wrap(_lost_sentence(shown, lost), width)
        )


def _lost_sentence(shown: Listing, lost: LostAgent) -> str:
    agent = f"the {_ROLE_NAMES[lost.role]}agent of {printable(lost.host)}"
    if lost.seen_at is None:
        return f"{agent} has not been heard of: what is shown of it is old"
    silence = age((shown.at - lost.seen_at).total_seconds())
    return f"{agent} has not been heard of for {silence}: what is shown of it is as old"


def moved(shown: Listing) -> Sequence[object]:
    """What of the list is news, and not only older."""
    return [
        (row.instance.key, row.state, row.instance.generation, row.lost, sorted(row.seen.items()))
        for row in shown.rows
    ]
