"""How the ledger's schema comes to this release: the files in `migrations/`, as statements.

Who may use it is in `grants`. A migration that has been released is never changed; the next one
must leave what agents of the release before use, as these go on during a deploy.
"""

from pathlib import Path
from typing import Final

from stellwerk.database.migration_files import Migration, migrations_in
from stellwerk.database.quoting import quote_literal
from stellwerk.database.statement import Statement

_FOLDER: Final = Path(__file__).with_name("migrations")


class NewerLedgerError(Exception):
    """The ledger was migrated by a newer release than this one."""


MIGRATIONS: Final = migrations_in(_FOLDER)
LATEST: Final = MIGRATIONS[-1].version
"""The version this release works with."""


def migration_statements(present: int, database: str) -> tuple[Statement, ...]:
    """What brings the ledger from version `present` (0: none) to LATEST; the schema has to exist.

    Each migration is one transaction with its row in stellwerk.migrations, so that one that is
    killed leaves nothing, and of two runs at a time one fails. Raises NewerLedgerError.
    """
    if present > LATEST:
        raise NewerLedgerError(
            f"the ledger in database {database} is at version {present}, and this release knows"
            f" {LATEST} at most: deploy with the newer release that migrated it."
        )
    return tuple(
        Statement(
            summary=f"database {database}: ledger to version {one.version} ({one.name})",
            sql="\n".join(("BEGIN;", one.path.read_text(encoding="utf-8"), _row(one), "COMMIT")),
            database=database,
        )
        for one in MIGRATIONS
        if one.version > present
    )


def _row(migration: Migration) -> str:
    name = quote_literal(migration.name)
    return f"INSERT INTO stellwerk.migrations (version, name) VALUES ({migration.version}, {name});"  # noqa: S608
