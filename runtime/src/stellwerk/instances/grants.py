"""Who may do what in the ledger: least rights per role, and the statements that bring them there.

The tables themselves are in `migrations`. Grants of roles that are not named here are left alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from stellwerk.database.quoting import quote_identifier
from stellwerk.database.statement import Statement


class Privilege(NamedTuple):
    """One right of one role (None: PUBLIC), on an object of the schema or on one of its columns."""

    grantee: str | None
    kind: str  # SCHEMA, TABLE, SEQUENCE or FUNCTION
    name: str  # as SQL writes it
    privilege: str
    column: str = ""  # as SQL writes it


@dataclass(frozen=True)
class LedgerRoles:
    """The roles whose rights are kept: two get some, the `others` none, and PUBLIC none either."""

    agent: str
    ledger: str
    others: frozenset[str] = frozenset()


TABLES: Final = (
    "agents",
    "desired",
    "events",
    "generations",
    "instances",
    "migrations",
    "rollouts",
    "samples",
    "scaling_decisions",
    "scaling_loads",
    "scaling_orders",
    "scaling_samples",
    "scaling_states",
    "services",
    "sightings",
)

# Beside reading everything. An agent reports what is and moves a roll-out on; it cannot want
# anything else than what is declared.
_AGENT_WRITES: Final[Mapping[str, tuple[str, ...]]] = {
    "agents": ("INSERT", "UPDATE"),
    "events": ("INSERT",),
    "instances": ("INSERT", "UPDATE", "DELETE"),
    "samples": ("INSERT", "DELETE"),
    "sightings": ("INSERT", "UPDATE", "DELETE"),
}
_AGENT_UPDATES: Final[Mapping[str, tuple[str, ...]]] = {
    "rollouts": (
        "state",
        "canary",
        "canary_since",
        "canary_passed",
        "progressed_at",
        "finished_at",
        "reason",
        "failed_instance",
        "journal",
    ),
    "services": ("stable",),
}

# The scaler and operators declare; what is they leave to the agents, but for holding one out.
_LEDGER_WRITES: Final[Mapping[str, tuple[str, ...]]] = {
    "desired": ("INSERT", "UPDATE", "DELETE"),
    "events": ("INSERT",),
    "rollouts": ("INSERT",),
    "samples": ("DELETE",),  # measured before the clock was set
    "scaling_decisions": ("INSERT",),
    "scaling_loads": ("INSERT", "UPDATE", "DELETE"),
    "scaling_orders": ("INSERT", "UPDATE", "DELETE"),
    "scaling_samples": ("INSERT", "DELETE"),
    "scaling_states": ("INSERT", "UPDATE"),
}
_LEDGER_UPDATES: Final[Mapping[str, tuple[str, ...]]] = {
    "instances": ("held",),
    "rollouts": ("state", "finished_at"),
    "services": ("generation", "rollout"),
}

PRIVILEGES_QUERY: Final = """\
SELECT coalesce(json_agg(json_build_array(
  CASE WHEN entry.grantee <> 0 THEN pg_catalog.pg_get_userbyid(entry.grantee) END,
  object.kind, object.name, entry.privilege_type, object.column)), '[]')
FROM (
  SELECT 'SCHEMA' AS kind, pg_catalog.quote_ident(nspname) AS name, '' AS column,
    nspowner AS owner, coalesce(nspacl, pg_catalog.acldefault('n', nspowner)) AS acl
  FROM pg_catalog.pg_namespace WHERE nspname = 'stellwerk'
  UNION ALL
  SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
    pg_catalog.quote_ident(relname), '', relowner, relacl
  FROM pg_catalog.pg_class
  WHERE relnamespace = pg_catalog.to_regnamespace('stellwerk')
    AND relkind IN ('r', 'p', 'v', 'm', 'S')
  UNION ALL
  SELECT 'TABLE', pg_catalog.quote_ident(relname), pg_catalog.quote_ident(attname),
    relowner, attacl
  FROM pg_catalog.pg_class JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid
  WHERE relnamespace = pg_catalog.to_regnamespace('stellwerk') AND attacl IS NOT NULL
  UNION ALL
  SELECT 'FUNCTION', pg_catalog.format(
      '%I(%s)', proname, pg_catalog.pg_get_function_identity_arguments(pg_proc.oid)), '',
    proowner, coalesce(proacl, pg_catalog.acldefault('f', proowner))
  FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.to_regnamespace('stellwerk')
) AS object, LATERAL pg_catalog.aclexplode(object.acl) AS entry
WHERE entry.grantee <> object.owner"""
"""The rights in force in the ledger's schema as one JSON document; nothing where there is none."""


def parse_privileges(rows: Iterable[Iterable[str | None]]) -> frozenset[Privilege]:
    """Read the answer of `PRIVILEGES_QUERY`. Raises TypeError where it is not one."""
    return frozenset(Privilege(*row) for row in rows)  # type: ignore[arg-type]


def grant_statements(
    roles: LedgerRoles, present: frozenset[Privilege], database: str
) -> tuple[Statement, ...]:
    """What gives the roles their rights and takes all others from them; one transaction each.

    Nothing where nothing differs. `present` are the rights before migrations that go first.
    """
    wanted = frozenset(_wanted(roles))
    ours = {roles.agent, roles.ledger, *roles.others, None}
    surplus = {one for one in present - wanted if one.grantee in ours}
    # Taking a right on a table takes it on the columns too: what is wanted there is given anew.
    touched = {(one.grantee, one.kind, one.name) for one in surplus}
    missing = {
        one for one in wanted if one not in present or (one.grantee, one.kind, one.name) in touched
    }
    return tuple(
        _statement(grantee, database, surplus, missing)
        for grantee in sorted(ours, key=lambda name: (name is not None, name or ""))
        if any(one.grantee == grantee for one in surplus | missing)
    )


def _wanted(roles: LedgerRoles) -> Iterator[Privilege]:
    for role, writes, updates, functions in (
        (roles.agent, _AGENT_WRITES, _AGENT_UPDATES, ("prune_events()",)),
        (roles.ledger, _LEDGER_WRITES, _LEDGER_UPDATES, ("prune_events()", "prune_scaling()")),
    ):
        yield Privilege(role, "SCHEMA", "stellwerk", "USAGE")
        for function in functions:
            yield Privilege(role, "FUNCTION", function, "EXECUTE")
        for table in TABLES:
            for privilege in ("SELECT", *writes.get(table, ())):
                yield Privilege(role, "TABLE", table, privilege)
            for column in updates.get(table, ()):
                yield Privilege(role, "TABLE", table, "UPDATE", column)


def _statement(
    grantee: str | None, database: str, surplus: set[Privilege], missing: set[Privilege]
) -> Statement:
    role = "PUBLIC" if grantee is None else quote_identifier(grantee)
    lines = [
        f"{verb} {what} {direction} {role};"
        for verb, direction, privileges in (("REVOKE", "FROM", surplus), ("GRANT", "TO", missing))
        for what in _grouped(one for one in privileges if one.grantee == grantee)
    ]
    name = "PUBLIC" if grantee is None else grantee
    return Statement(
        summary=f"database {database}: what {name} may do in the ledger ({len(lines)} changes)",
        sql="\n".join(("BEGIN;", *lines, "COMMIT")),
        database=database,
    )


def _grouped(privileges: Iterable[Privilege]) -> Iterator[str]:
    """The middle of GRANT and REVOKE: several rights on an object at a time."""
    for (kind, name), group in groupby(
        sorted(privileges, key=lambda one: one[1:]), key=lambda one: (one.kind, one.name)
    ):
        rights = ", ".join(
            f"{one.privilege} ({one.column})" if one.column else one.privilege for one in group
        )
        where = "stellwerk" if kind == "SCHEMA" else f"stellwerk.{name}"
        yield f"{rights} ON {kind} {where}"
