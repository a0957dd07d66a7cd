"""Which SQL brings the declared roles from what they are to what they should be.

Only declared roles are touched, and these wholly: attributes, limit, password, settings and
memberships that are not declared are taken away.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stellwerk.database.quoting import quote_identifier, quote_literal
from stellwerk.database.scram import make_verifier, verifier_matches
from stellwerk.database.setting import check_name
from stellwerk.database.statement import Statement

UNLIMITED: Final = -1
"""PostgreSQL's connection limit of a role without one."""

SALT_BYTES: Final = 16

# Their values are lists of names: one quoted text with a comma would be taken for a single name.
_LIST_SETTINGS: Final = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces"}
)


class RoleError(ValueError):
    """A declaration that must not or cannot be carried out."""


class Attribute(StrEnum):
    """What a role as such may do."""

    LOGIN = "LOGIN"
    INHERIT = "INHERIT"
    CREATEDB = "CREATEDB"
    CREATEROLE = "CREATEROLE"
    REPLICATION = "REPLICATION"
    BYPASSRLS = "BYPASSRLS"
    SUPERUSER = "SUPERUSER"


@dataclass(frozen=True)
class Role:
    """A role as it should be; without a password it cannot log in by one."""

    name: str
    password: str | None = field(default=None, repr=False)
    attributes: frozenset[Attribute] = frozenset({Attribute.LOGIN, Attribute.INHERIT})
    connection_limit: int = UNLIMITED
    settings: Mapping[str, str] = field(default_factory=dict)
    memberships: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RoleState:
    """A role as the server has it, with the number of its sessions; the names of its settings are
    in lower case.
    """

    attributes: frozenset[Attribute] = frozenset()
    connection_limit: int = UNLIMITED
    verifier: str | None = field(default=None, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    memberships: frozenset[str] = frozenset()
    sessions: int = 0


def random_salt() -> bytes:
    """A fresh salt for one verifier."""
    return secrets.token_bytes(SALT_BYTES)


def removal_statements(
    names: Iterable[str], present: Mapping[str, RoleState], database: str, heir: str
) -> Iterator[Statement]:
    """What removes the named roles, as far as they exist.

    What they own in `database` goes to `heir`; where they own something in another database, the
    server refuses, and says what.
    """
    for name in sorted(set(names) & present.keys()):
        role = quote_identifier(name)
        steps = (
            "BEGIN",
            f"REASSIGN OWNED BY {role} TO {quote_identifier(heir)}",
            f"DROP OWNED BY {role}",
            f"DROP ROLE {role}",
            "COMMIT",
        )
        yield Statement(f"remove role {name}", ";\n".join(steps), database)


def role_statements(
    desired: tuple[Role, ...],
    existing: Mapping[str, RoleState],
    new_salt: Callable[[], bytes] = random_salt,
) -> tuple[Statement, ...]:
    """The statements that make `existing` what is `desired`; none where nothing differs.

    Passwords appear as SCRAM verifiers only. Raises `RoleError` for a role declared twice, one that
    PostgreSQL keeps for itself, or a setting that cannot be written; `SettingError`, `QuotingError`
    and `PasswordError` as the functions for names, texts and passwords do.
    """
    _check(desired)
    return (
        *_each(desired, existing, lambda role, state: _definition(role, state, new_salt)),
        *_each(desired, existing, _settings),
        *_each(desired, existing, _memberships),
    )


def _each(
    desired: Iterable[Role],
    existing: Mapping[str, RoleState],
    plan: Callable[[Role, RoleState | None], Iterator[Statement]],
) -> Iterator[Statement]:
    for role in desired:
        yield from plan(role, existing.get(role.name))


def _check(desired: tuple[Role, ...]) -> None:
    seen: set[str] = set()
    for role in desired:
        if role.name == "postgres" or role.name.startswith("pg_"):
            raise RoleError(f"Role {role.name} belongs to PostgreSQL itself: declare another name.")
        if role.name in seen:
            raise RoleError(f"Role {role.name} is declared twice: give it one declaration.")
        seen.add(role.name)
        for name, value in role.settings.items():
            check_name(name)
            if name in _LIST_SETTINGS and "," in value:
                raise RoleError(
                    f"Role {role.name}: {name} = {value} has several names: give a single one."
                )


def _definition(
    role: Role, state: RoleState | None, new_salt: Callable[[], bytes]
) -> Iterator[Statement]:
    baseline = RoleState() if state is None else state
    verb = "CREATE" if state is None else "ALTER"
    options = [
        each.value if each in role.attributes else f"NO{each.value}"
        for each in Attribute
        if state is None or (each in role.attributes) != (each in baseline.attributes)
    ]
    if role.connection_limit != baseline.connection_limit:
        options.append(f"CONNECTION LIMIT {role.connection_limit:d}")
    shown = [*options]
    if not _same_password(role.password, baseline.verifier):
        shown.append("PASSWORD")
        options.append(f"PASSWORD {_password(role.password, new_salt)}")
    if options:
        yield Statement(
            summary=f"{verb.lower()} role {role.name}: {', '.join(shown)}",
            sql=f"{verb} ROLE {quote_identifier(role.name)} {' '.join(options)}",
        )


def _same_password(password: str | None, verifier: str | None) -> bool:
    if password is None or verifier is None:
        return password is None and verifier is None
    return verifier_matches(verifier, password)


def _password(password: str | None, new_salt: Callable[[], bytes]) -> str:
    return "NULL" if password is None else quote_literal(make_verifier(password, new_salt()))


def _settings(role: Role, state: RoleState | None) -> Iterator[Statement]:
    present = {} if state is None else state.settings
    identifier = quote_identifier(role.name)
    for name in sorted(present.keys() - role.settings.keys()):
        yield Statement(
            summary=f"role {role.name}: reset {name}",
            sql=f"ALTER ROLE {identifier} RESET {check_name(name)}",
        )
    for name, value in sorted(role.settings.items()):
        if present.get(name) != value:
            yield Statement(
                summary=f"role {role.name}: set {name} = {value}",
                sql=f"ALTER ROLE {identifier} SET {name} = {quote_literal(value)}",
            )


def _memberships(role: Role, state: RoleState | None) -> Iterator[Statement]:
    present = frozenset() if state is None else state.memberships
    for group in sorted(present - role.memberships):
        yield Statement(
            summary=f"role {role.name}: leave {group}",
            sql=f"REVOKE {quote_identifier(group)} FROM {quote_identifier(role.name)}",
        )
    for group in sorted(role.memberships - present):
        yield Statement(
            summary=f"role {role.name}: join {group}",
            sql=f"GRANT {quote_identifier(group)} TO {quote_identifier(role.name)}",
        )
