"""How scaling stands, decisions and their reasons, for a terminal of 80 columns or more. Pure."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from stellwerk.scaling.records import DecisionRow, Order
from stellwerk.scaling.status import ServiceStatus, Status
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.figures import age, percent
from stellwerk.terminal.paint import Paint, Tone, one_line

LEAST_WIDTH: Final = 80
_COLUMNS: Final = (
    Column("SERVICE", least=8),
    Column("UP", right=True),
    Column("WANTED", right=True),
    Column("BOUNDS", right=True),
    Column("CPU", right=True),
    Column("MEMORY", right=True),
    Column("SINCE", right=True),
    Column("MODE"),
)
_MODE_TONES: Final = {"by load": Tone.GOOD, "not scaled": Tone.DIM, "emergency": Tone.BAD}
_DIRECTIONS: Final = {"up": "up", "none": "as it is", "down": "down"}
_INDENT: Final = "  "


def table(shown: Status, width: int, paint: Paint) -> list[str]:
    """The lines of the live table, none longer than `width` (or 80 if that is more)."""
    width = max(width, LEAST_WIDTH)
    heading, *lines = laid_out(
        _COLUMNS, [_cells(shown, one) for one in shown.services], width, paint
    )
    out = [heading]
    for one, line in zip(shown.services, lines, strict=True):
        out.append(line)
        out += [paint(note, Tone.DIM) for note in _notes(one, width)]
    return [*out, "", *_footer(shown, width, paint)]


def moved(shown: Status) -> Sequence[object]:
    """What of the table is news, and not only older."""
    return [
        (one.name, one.desired, one.serving, one.starting, one.failed, one.mode)
        for one in shown.services
    ] + [shown.leader, shown.silent]


def decision_line(row: DecisionRow) -> str:
    """A decision in the list of past ones."""
    return f"{row.at:%Y-%m-%d %H:%M:%S}Z  {one_line(row.sentence)}"


def explanation(one: ServiceStatus, width: int, paint: Paint) -> Iterator[str]:
    """Why a service has the number it has."""
    width = max(width, LEAST_WIDTH)
    yield paint(one.name, Tone.STRONG) + f"  {_counts(one)}"
    if one.order is not None:
        yield from _wrapped(f"{one.name} is {_ordered(one.order)}.", width)
    row = one.decision
    if row is None:
        yield "It has not been judged yet."
        return
    yield from _wrapped(f"Judged {row.at:%Y-%m-%d %H:%M:%S}Z: {one_line(row.sentence)}", width)
    yield from _part("What its rules say", _votes(row), width, paint)
    yield from _part("What its forecast says", _forecast(row), width, paint)
    held = (one_line(entry["text"]) for entry in row.inputs.get("held", ()))
    yield from _part("What holds it back", held, width, paint)
    hosts = (f"{host}: {count}" for host, count in sorted(row.inputs.get("hosts", {}).items()))
    yield from _part("Wanted on the hosts", hosts, width, paint)
    if one.changed is not None and one.changed.id != row.id:
        yield from _part("Last change", [decision_line(one.changed)], width, paint)


def moment(at: datetime) -> str:
    """A moment for people, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _ordered(order: Order) -> str:
    """What an operator has ordered, who and until when."""
    what = "paused" if order.instances is None else f"set to {order.instances}"
    until = f" until {moment(order.until)}" if order.until else ""
    return f"{what} by {one_line(order.given_by)}{until}"


def _cells(shown: Status, one: ServiceStatus) -> list[Cell]:
    serving = Tone.GOOD if one.serving >= one.desired else Tone.WEAK
    changed = "-" if one.changed is None else age((shown.at - one.changed.at).total_seconds())
    return [
        Cell(one.name, Tone.STRONG),
        Cell(str(one.serving), serving if one.serving or not one.desired else Tone.BAD),
        Cell(str(one.desired)),
        Cell(f"{one.minimum}-{one.maximum}", Tone.DIM),
        Cell(percent(one.cpu_percent)),
        Cell(percent(one.memory_percent)),
        Cell(changed),
        Cell(one.mode, _MODE_TONES.get(one.mode, Tone.WEAK)),
    ]


def _notes(one: ServiceStatus, width: int) -> Iterator[str]:
    parts = []
    if one.starting:
        parts.append(f"{one.starting} starting")
    if one.failed:
        parts.append(f"{one.failed} failed")
    if one.order is not None:
        parts.append(_ordered(one.order))
    if one.held:
        parts.append(f"held back: {', '.join(one.held)}")
    if one.missing:
        parts.append(f"nothing is removed, as metrics are missing: {', '.join(one.missing)}")
    if parts:
        yield from _wrapped("; ".join(parts), width)


def _footer(shown: Status, width: int, paint: Paint) -> Iterator[str]:
    others = [one.host for one in shown.scalers if not one.leads]
    if shown.leader is None:
        text, tone = "No scaler leads: numbers stay as they are.", Tone.BAD
    elif shown.judgement_is_late:
        since = "never" if shown.judged_at is None else f"at {moment(shown.judged_at)}"
        text, tone = f"{shown.leader} leads, and judged {since}.", Tone.BAD
    else:
        assert shown.judged_at is not None
        silence = age((shown.at - shown.judged_at).total_seconds())
        text, tone = f"{shown.leader} leads, and judged {silence} ago.", Tone.NONE
    if others:
        text += f" {', '.join(others)} {'stands' if len(others) == 1 else 'stand'} by."
    yield from (paint(line, tone) for line in textwrap.wrap(text, width))
    if shown.silent:
        text = f"Agents that are not heard of: {', '.join(shown.silent)}."
        yield from (paint(line, Tone.BAD) for line in textwrap.wrap(text, width))


def _counts(one: ServiceStatus) -> str:
    return (
        f"{one.serving} of {one.desired} serve, between {one.minimum} and {one.maximum}; {one.mode}"
    )


def _votes(row: DecisionRow) -> Iterator[str]:
    for vote in row.inputs.get("votes", ()):
        yield f"{_DIRECTIONS[vote['direction']]}: {one_line(vote['text'])}"


def _forecast(row: DecisionRow) -> Iterator[str]:
    said = row.inputs.get("forecast")
    if said and said["is_acted_on"]:
        yield f"{said['instances']}: {one_line(said['reason'])}"
    elif said and said["instances"] is not None:
        yield f"{said['instances']}, not acted on: {one_line(said['reason'])}"
    elif said:
        yield f"there is none: {one_line(said['reason'])}"


def _part(title: str, lines: Iterable[str], width: int, paint: Paint) -> Iterator[str]:
    found = list(lines)
    if found:
        yield paint(title, Tone.DIM)
        for line in found:
            yield from _wrapped(line, width)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=_INDENT, subsequent_indent=f"{_INDENT}{_INDENT}"
    )
