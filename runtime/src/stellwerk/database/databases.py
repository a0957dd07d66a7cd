"""Which SQL brings the product's database, its contents and its privileges to what they should be.

Nothing is ever dropped, and grants of roles that are not named here are left alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from stellwerk.database.quoting import quote_identifier, quote_literal
from stellwerk.database.statement import Statement

PUBLIC: Final = None
"""The grantee that stands for every role."""


class DatabaseError(ValueError):
    """A state that says nothing about the database that is to be planned."""


@dataclass(frozen=True)
class Database:
    """The product's database as it should be.

    The `owner` creates tables, `writers` read and write what it creates, and everyone in `connect`
    (the writers need not be repeated) may log in; nobody else. `schemas` maps further schemas to
    the roles that own them.
    """

    name: str
    owner: str
    writers: frozenset[str] = frozenset()
    connect: frozenset[str] = frozenset()
    schemas: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("pg_stat_statements",)
    # Sorts by code point: an upgrade of the C library then never breaks an index.
    locale: str = "C.UTF-8"


@dataclass(frozen=True)
class Grant:
    """One privilege of one role, or of PUBLIC."""

    grantee: str | None
    privilege: str


@dataclass(frozen=True)
class DefaultPrivilege:
    """What a role gets on the objects of one kind that `owner` will create in any schema."""

    owner: str
    kind: str
    grant: Grant


@dataclass(frozen=True)
class DatabaseState:
    """A database as seen from outside."""

    owner: str
    grants: frozenset[Grant] = frozenset()


@dataclass(frozen=True)
class DatabaseContents:
    """What is inside a database; `schemas` maps names to owners."""

    extensions: frozenset[str] = frozenset()
    schemas: Mapping[str, str] = field(default_factory=dict)
    default_privileges: frozenset[DefaultPrivilege] = frozenset()


@dataclass(frozen=True)
class _Kind:
    letter: str  # pg_default_acl.defaclobjtype
    plural: str
    privileges: tuple[str, ...]


_WRITERS_GET: Final = (
    _Kind("r", "TABLES", ("SELECT", "INSERT", "UPDATE", "DELETE")),
    _Kind("S", "SEQUENCES", ("USAGE", "SELECT")),
    _Kind("n", "SCHEMAS", ("USAGE",)),
)


def database_statements(
    desired: Database, existing: DatabaseState | None, contents: DatabaseContents
) -> tuple[Statement, ...]:
    """The statements that make the database what is `desired`; none where nothing differs.

    `existing` is None where the database is still to be created, `contents` then empty. The roles
    must exist when they run. Raises `QuotingError` for names PostgreSQL cannot hold.
    """
    return (
        *_database(desired, existing),
        *_connect(desired, existing),
        *_extensions(desired, contents),
        *_schemas(desired, contents),
        *_default_privileges(desired, contents),
    )


def _database(desired: Database, existing: DatabaseState | None) -> Iterator[Statement]:
    name, owner = quote_identifier(desired.name), quote_identifier(desired.owner)
    if existing is None:
        locale = quote_literal(desired.locale)
        yield Statement(
            summary=f"create database {desired.name} of {desired.owner}",
            sql=f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0 "
            f"ENCODING 'UTF8' LC_COLLATE {locale} LC_CTYPE {locale}",
        )
    elif existing.owner != desired.owner:
        yield Statement(
            summary=f"database {desired.name}: owner {desired.owner} instead of {existing.owner}",
            sql=f"ALTER DATABASE {name} OWNER TO {owner}",
        )


def _connect(desired: Database, existing: DatabaseState | None) -> Iterator[Statement]:
    name = quote_identifier(desired.name)
    grants = frozenset() if existing is None else existing.grants
    if existing is None or any(grant.grantee is PUBLIC for grant in grants):
        yield Statement(
            summary=f"database {desired.name}: take all privileges from PUBLIC",
            sql=f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        )
    for role in sorted((desired.connect | desired.writers) - {desired.owner}):
        if Grant(role, "CONNECT") not in grants:
            yield Statement(
                summary=f"database {desired.name}: {role} may connect",
                sql=f"GRANT CONNECT ON DATABASE {name} TO {quote_identifier(role)}",
            )


def _extensions(desired: Database, contents: DatabaseContents) -> Iterator[Statement]:
    for extension in desired.extensions:
        if extension not in contents.extensions:
            yield Statement(
                summary=f"database {desired.name}: create extension {extension}",
                sql=f"CREATE EXTENSION {quote_identifier(extension)}",
                database=desired.name,
            )


def _schemas(desired: Database, contents: DatabaseContents) -> Iterator[Statement]:
    for schema, owner in sorted(desired.schemas.items()):
        present = contents.schemas.get(schema)
        name, role = quote_identifier(schema), quote_identifier(owner)
        if present is None:
            yield Statement(
                summary=f"database {desired.name}: create schema {schema} of {owner}",
                sql=f"CREATE SCHEMA {name} AUTHORIZATION {role}",
                database=desired.name,
            )
        elif present != owner:
            yield Statement(
                summary=f"schema {schema}: owner {owner} instead of {present}",
                sql=f"ALTER SCHEMA {name} OWNER TO {role}",
                database=desired.name,
            )


def _default_privileges(desired: Database, contents: DatabaseContents) -> Iterator[Statement]:
    for writer in sorted(desired.writers - {desired.owner}):
        for kind in _WRITERS_GET:
            wanted = {
                DefaultPrivilege(desired.owner, kind.letter, Grant(writer, privilege))
                for privilege in kind.privileges
            }
            if wanted <= contents.default_privileges:
                continue
            yield Statement(
                summary=f"database {desired.name}: {writer} may use {kind.plural.lower()} "
                f"that {desired.owner} creates",
                sql=f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_identifier(desired.owner)} "
                f"GRANT {', '.join(kind.privileges)} ON {kind.plural} "
                f"TO {quote_identifier(writer)}",
                database=desired.name,
            )
