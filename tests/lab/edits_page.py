"""The tables of docs/edits.md: what each edit reaches, from its row, and what runs measured.

`python -m tests.lab.edits_page` writes the first one anew; the others are the bench's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.bench.table import Figure
from tests.lab.clients import Noticed
from tests.lab.editing import Applied
from tests.lab.edits import Edit
from tests.lab.edits_services import ALL
from tests.lab.lab import REPOSITORY
from tests.lab.steps import STEPS
from tests.markdown import put_into, table

PAGE = REPOSITORY / "docs" / "edits.md"
EFFECTS, FIGURES, BARS = "effects", "figures", "bars"  # what the tables are named in the page
NOTHING = "nothing is reloaded, restarted or rolled"


@dataclass(frozen=True)
class Measured:
    """What one run with an edit did to the lab, and what its clients noticed."""

    edit: Edit
    applied: Applied
    noticed: Noticed


def effects() -> str:
    """A row for every edit of the matrix."""
    edits = (edit for step in STEPS.values() for edit in step)
    return table(("you edit", "what happens"), ((edit.name, effect(edit)) for edit in edits))


def effect(edit: Edit) -> str:
    """What an edit reaches, as a phrase."""
    parts = [
        *_units("reloads", edit.reloads),
        *_units("restarts", edit.restarts),
        *_units("stops", edit.stops),
        *_rolls(edit),
        *(_number(name, count) for name, count in sorted(edit.counts.items())),
    ]
    if edit.says:
        parts.append(f'the run says "{edit.says}"')
    if edit.fails_over:
        parts.append("one planned failover")
    return "; ".join(parts) or NOTHING


def figures(measured: Iterable[Measured]) -> str:
    """A row for every run."""
    heading = (
        *("you edit", "changed operations", "reloads", "restarts", "services rolled", "seconds"),
        *("requests", "failed", "writes to Redis", "lost", "longest without a write"),
    )
    return table(heading, map(_row, measured))


def bars(measured: Iterable[Figure]) -> str:
    """A row for every figure that has a bar."""
    return table(
        ("measured as well", "figure", "bar"),
        ((one.what, one.measured, one.bar) for one in measured),
    )


def _row(one: Measured) -> tuple[str, ...]:
    applied, noticed = one.applied, one.noticed
    return (
        *(one.edit.name, str(applied.changed_operations)),
        *(str(len(found)) for found in (applied.reloads, applied.restarts, applied.rolls)),
        *(f"{applied.seconds:.1f}", str(noticed.requests), str(noticed.failed)),
        *(str(noticed.writes), str(len(noticed.lost_writes))),
        f"{noticed.seconds_without_writes:.2f} s",
    )


def _units(verb: str, units: Iterable[str]) -> list[str]:
    names = sorted({unit.split(" ")[1].removesuffix(".service") for unit in units})
    return [f"{verb} {', '.join(f'`{name}`' for name in names)}"] if names else []


def _rolls(edit: Edit) -> list[str]:
    names = "all services" if edit.rolls == ALL else ", ".join(sorted(edit.rolls))
    return [f"rolls {names}"] if names else []


def _number(service: str, count: int) -> str:
    if not count:
        return f"all instances of {service} are stopped"
    return f"{service} has {count} instance{'s' * (count > 1)}"


if __name__ == "__main__":
    put_into(PAGE, EFFECTS, effects())
