"""The releases of services for a terminal and as JSON. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stellwerk.instances.generation import short
from stellwerk.instances.model import Instance, Service, Snapshot
from stellwerk.instances.store import GenerationRow
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.figures import age
from stellwerk.terminal.paint import Paint, Tone, printable

LEAST_WIDTH: Final = 80
_COLUMNS: Final = (
    Column("  RELEASE", least=12),
    Column("GENERATION"),
    Column("AGE", right=True),
    Column("IS", least=7),
    Column("INSTANCES", least=9),
)


@dataclass(frozen=True)
class Kept:
    """A generation of a service, and the instances that run it."""

    service: Service
    row: GenerationRow
    instances: tuple[Instance, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """Whether it is what the service is to run, and what its last good roll-out brought."""
        marks = {"current": self.service.generation, "stable": self.service.stable}
        return tuple(
            word for word, generation in marks.items() if generation == self.row.generation
        )


def kept(
    snapshot: Snapshot, generations: Iterable[GenerationRow], services: Collection[str]
) -> list[Kept]:
    """The generations of these services, each service's newest first."""
    by_service: dict[str, list[GenerationRow]] = {name: [] for name in services}
    for row in generations:
        if row.service in by_service:
            by_service[row.service].append(row)
    return [
        Kept(
            snapshot.services[name],
            row,
            tuple(one for one in snapshot.of(name) if one.generation == row.generation),
        )
        for name, rows in by_service.items()
        for row in sorted(rows, key=lambda one: one.created_at, reverse=True)
    ]


def table(rows: Collection[Kept], at: datetime, width: int, paint: Paint) -> list[str]:
    """A line per generation under its service, none longer than `width` (or 80)."""
    if not rows:
        return ["No release has been deployed yet."]
    cells = [_cells(row, at) for row in rows]
    heading, *drawn = laid_out(_COLUMNS, cells, max(width, LEAST_WIDTH), paint)
    lines, service = [heading], ""
    for row, line in zip(rows, drawn, strict=True):
        if row.service.name != service:
            service = row.service.name
            lines.append(paint(printable(service), Tone.STRONG))
        lines.append(line)
    return lines


def document(row: Kept) -> Mapping[str, Any]:
    """For programs."""
    return {
        "service": row.service.name,
        "release": row.row.release or None,
        "generation": row.row.generation,
        "created_at": row.row.created_at.isoformat(),
        "current": "current" in row.roles,
        "stable": "stable" in row.roles,
        "instances": [str(one.key) for one in row.instances],
    }


def _cells(row: Kept, at: datetime) -> list[Cell]:
    ports = ", ".join(str(one.key.port) for one in row.instances)
    return [
        Cell(f"  {printable(row.row.release) or '-'}"),
        Cell(short(row.row.generation)),
        Cell(age((at - row.row.created_at).total_seconds())),
        Cell(", ".join(row.roles), Tone.GOOD if row.roles else Tone.NONE),
        Cell(ports or "-", Tone.NONE if ports else Tone.DIM),
    ]
