"""Who may do what in the event store: least rights, kept as they are written here.

Everything else belongs to the owner; grants of roles that are not named here are left alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from stellwerk.eventstore.session import Session

_ALL: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_CHANGE: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_READ: Final = ("SELECT",)
_FUNCTIONS: Final = ("append_events", "event_bound")

# Events are appended by the function only, which sets their order, version and time.
_APP: Final[Mapping[str, tuple[str, ...]]] = {
    "events": _READ,
    "event_order": (),
    "event_store_migrations": (),
    "assets": _CHANGE,
    "portfolios": _CHANGE,
    "portfolio_snapshots": _CHANGE,
    "trades": _CHANGE,
    "mv_portfolio_performance_summary": _READ,
    "view_refreshes": _READ,
}
# The collector sees that views are refreshed, and nothing of the data.
_MONITOR: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_APP, ()),
    "view_refreshes": _READ,
}


@dataclass(frozen=True)
class Roles:
    """The names of the roles that get rights."""

    app: str
    monitor: str


def keep_rights(session: Session, roles: Roles) -> list[str]:
    """Give the roles their rights and take all others from them; what was done, as sentences."""
    return [
        done
        for role, wanted in ((roles.app, _APP), (roles.monitor, _MONITOR))
        for done in _keep(session, role, wanted, calls=role == roles.app)
    ]


def _keep(
    session: Session, role: str, wanted: Mapping[str, tuple[str, ...]], *, calls: bool
) -> Iterator[str]:
    who, schema = sql.Identifier(role), sql.Identifier(session.schema)
    if not session.value("SELECT has_schema_privilege(%s, %s, 'USAGE')", [role, session.schema]):
        session.run(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, who))
        yield f"{role} may use schema {session.schema}."
    for relation, rights in wanted.items():
        present = _present(session, role, relation)
        if present == set(rights):
            continue
        name = session.name(relation)
        with session.connection.transaction():
            session.run(sql.SQL("REVOKE ALL ON {} FROM {}").format(name, who))
            if rights:
                listed = sql.SQL(", ").join(map(sql.SQL, rights))
                session.run(sql.SQL("GRANT {} ON {} TO {}").format(listed, name, who))
        yield f"{role} may {', '.join(rights) or 'do nothing'} on {relation}."
    for function in _FUNCTIONS if calls else ():
        if not _may_call(session, role, function):
            name = session.name(function)
            session.run(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(name, who))
            yield f"{role} may call {function}."


def _present(session: Session, role: str, relation: str) -> set[str]:
    rows = session.rows(
        "SELECT privilege FROM unnest(%s::text[]) AS privilege"
        " WHERE has_table_privilege(%s, %s, privilege)",
        [list(_ALL), role, f"{session.quoted_schema}.{relation}"],
    )
    return {row[0] for row in rows}


def _may_call(session: Session, role: str, function: str) -> bool:
    return bool(
        session.value(
            "SELECT has_function_privilege(%s, oid, 'EXECUTE') FROM pg_proc"
            " WHERE proname = %s AND pronamespace = to_regnamespace(%s)",
            [role, function, session.quoted_schema],
        )
    )
