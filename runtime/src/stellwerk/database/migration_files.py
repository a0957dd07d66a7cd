"""The steps of a schema as files `VERSION_NAME.sql` of a folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    path: Path


def migrations_in(folder: Path) -> tuple[Migration, ...]:
    """All steps, the first one first."""
    parts = ((file.stem.partition("_"), file) for file in sorted(folder.glob("*.sql")))
    return tuple(Migration(int(number), name, file) for (number, _, name), file in parts)
