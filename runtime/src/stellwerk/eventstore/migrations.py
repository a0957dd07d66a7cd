"""How the event store's schema comes to this release: the files in `migrations/`, run as its owner.

A migration that has been released is never changed. The next one leaves what services of the
release before use, as these go on during a deploy.
"""

from pathlib import Path
from typing import Final

from psycopg import sql

from stellwerk.database.migration_files import Migration, migrations_in
from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.session import Session

_FOLDER: Final = Path(__file__).with_name("migrations")


MIGRATIONS: Final = migrations_in(_FOLDER)
LATEST: Final = MIGRATIONS[-1].version
"""The version this release works with."""


def present_version(session: Session) -> int:
    """The version the schema is at; 0 where there is none."""
    if session.value("SELECT to_regclass(%s)", [f"{session.quoted_schema}.{_TABLE}"]) is None:
        return 0
    query = sql.SQL("SELECT coalesce(max(version), 0) FROM {}").format(session.name(_TABLE))
    return int(session.value(query))


def migrate(session: Session) -> list[str]:
    """Bring the schema to LATEST; what was done, as sentences.

    Each migration is one transaction with its row in event_store_migrations, so that one that is
    killed leaves nothing. Raises EventStoreError where a newer release has been here.
    """
    present = present_version(session)
    if present > LATEST:
        raise EventStoreError(
            f"The event store in schema {session.schema} is at version {present}, and this release"
            f" knows {LATEST} at most: deploy with the newer release that migrated it."
        )
    return [_apply(session, one) for one in MIGRATIONS if one.version > present]


def _apply(session: Session, migration: Migration) -> str:
    schema = sql.Identifier(session.schema)
    insert = sql.SQL("INSERT INTO {} (version, name) VALUES (%s, %s)").format(session.name(_TABLE))
    with session.connection.transaction():
        # Asked for first, as the owner of the database need not own its schema public.
        if session.value("SELECT to_regnamespace(%s)", [session.quoted_schema]) is None:
            session.run(sql.SQL("CREATE SCHEMA {}").format(schema))
        session.run(sql.SQL("SET LOCAL search_path = {}, pg_temp").format(schema))
        session.run(sql.SQL(migration.path.read_text(encoding="utf-8")))
        session.run(insert, [migration.version, migration.name])
    return f"Migrated to version {migration.version} ({migration.name})."


_TABLE: Final = "event_store_migrations"
