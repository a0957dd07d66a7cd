"""The indexes of the event store: what they are, and how they come to be without blocking anybody.

`CREATE INDEX CONCURRENTLY IF NOT EXISTS` keeps an invalid index that a killed build left, and one
of another definition: both are looked for here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from stellwerk.database.quoting import quote_identifier
from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.session import Session


@dataclass(frozen=True)
class Index:
    """An index as it should be; `columns` as pg_get_indexdef writes them."""

    name: str
    table: str
    columns: str
    unique: bool = False

    @property
    def definition(self) -> str:
        """What follows its table in pg_get_indexdef."""
        return f"USING btree ({self.columns})"


@dataclass(frozen=True)
class FoundIndex:
    """An index as it is; one whose build did not end is not `valid`."""

    name: str
    table: str
    definition: str
    unique: bool
    valid: bool

    def is_good_for(self, wanted: Index) -> bool:
        """Whether it does what `wanted` is for."""
        same = (self.table, self.definition, self.unique)
        return self.valid and same == (wanted.table, wanted.definition, wanted.unique)


@dataclass(frozen=True)
class Step:
    """A statement outside of transactions, and what it does."""

    summary: str
    sql: str


WANTED: Final = (
    Index("events_aggregate_version", "events", "aggregate_id, version", unique=True),
    Index("events_type_timestamp", "events", 'event_type, "timestamp"'),
    Index("events_timestamp", "events", '"timestamp" DESC'),
)
"""Those of specification 4.2. The first one also keeps versions apart, and so is unique."""

_NEXT, _FORMER = "_next", "_former"

_FOUND: Final = """
SELECT index.relname, place.relname,
    substring(pg_get_indexdef(index.oid) FROM 'USING .*$'), indisunique, indisvalid AND indisready
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
JOIN pg_class AS place ON place.oid = indrelid
WHERE index.relnamespace = to_regnamespace(%s)
"""


def found_indexes(session: Session) -> tuple[FoundIndex, ...]:
    """All indexes of the event store's schema."""
    return tuple(FoundIndex(*row) for row in session.rows(_FOUND, [session.quoted_schema]))


def build_indexes(session: Session, wanted: Iterable[Index] = WANTED) -> list[str]:
    """Make the indexes what they should be; what was done, as sentences.

    Writers and readers go on meanwhile. Raises EventStoreError where another table's index has a
    name of ours.
    """
    done = []
    for step in steps(tuple(wanted), found_indexes(session), session.schema):
        session.run(step.sql)
        done.append(step.summary)
    return done


def steps(wanted: Iterable[Index], found: Iterable[FoundIndex], schema: str) -> tuple[Step, ...]:
    """What to execute, in order; nothing where nothing differs.

    An index that is to be replaced serves on until the new one is complete: that is built beside
    it, takes its name in one moment, and then the former one goes. What a killed run left of this
    is taken away first.
    """
    present = {one.name: one for one in found}
    return tuple(step for index in wanted for step in _steps(index, present, schema))


def _steps(index: Index, present: dict[str, FoundIndex], schema: str) -> Iterator[Step]:
    for left in (index.name + _NEXT, index.name + _FORMER):
        if left in present:
            yield _drop(left, schema, f"Dropped {left}, which a run that was killed had left.")
    now = present.get(index.name)
    if now is None:
        yield _create(index, index.name, schema, f"Built index {index.name}.")
        return
    if now.table != index.table:
        raise EventStoreError(
            f"Index {schema}.{index.name} belongs to table {now.table}, but its name is needed for "
            f"{index.table}: rename it."
        )
    if now.is_good_for(index):
        return
    why = "was not as it should be" if now.valid else "was invalid, as its build had not ended"
    following, former = index.name + _NEXT, index.name + _FORMER
    yield _create(index, following, schema, f"Built index {index.name} anew, as it {why}.")
    yield Step(
        f"Put the new {index.name} in its place.",
        f"{_rename(index.name, former, schema)}; {_rename(following, index.name, schema)}",
    )
    yield _drop(former, schema, f"Dropped the former {index.name}.")


def _create(index: Index, name: str, schema: str, summary: str) -> Step:
    unique = "UNIQUE " if index.unique else ""
    table = _qualified(index.table, schema)
    return Step(
        summary,
        f"CREATE {unique}INDEX CONCURRENTLY {quote_identifier(name)} ON {table} {index.definition}",
    )


def _rename(name: str, to: str, schema: str) -> str:
    return f"ALTER INDEX {_qualified(name, schema)} RENAME TO {quote_identifier(to)}"


def _drop(name: str, schema: str, summary: str) -> Step:
    return Step(summary, f"DROP INDEX CONCURRENTLY {_qualified(name, schema)}")


def _qualified(name: str, schema: str) -> str:
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"
