"""What a running PostgreSQL is like: the one query that asks, and its answer as types.

Which statements follow is decided in `roles` and `databases`, what is in force in `convergence`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stellwerk.database.databases import (
    DatabaseContents,
    DatabaseState,
    DefaultPrivilege,
    Grant,
)
from stellwerk.database.quoting import quote_identifier, quote_literal
from stellwerk.database.roles import Attribute, RoleState
from stellwerk.instances.documents import SNAPSHOT_QUERY, parse_snapshot
from stellwerk.instances.grants import PRIVILEGES_QUERY, Privilege, parse_privileges
from stellwerk.instances.migrations import LATEST
from stellwerk.instances.model import Snapshot

STATE_QUERY: Final = """\
SELECT json_build_object(
  'version', current_setting('server_version_num')::integer,
  'database', current_database(),
  'roles', (
    SELECT coalesce(json_agg(json_build_object(
      'name', role.rolname,
      'attributes', array_remove(ARRAY[
        CASE WHEN role.rolcanlogin THEN 'LOGIN' END,
        CASE WHEN role.rolinherit THEN 'INHERIT' END,
        CASE WHEN role.rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN role.rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN role.rolreplication THEN 'REPLICATION' END,
        CASE WHEN role.rolbypassrls THEN 'BYPASSRLS' END,
        CASE WHEN role.rolsuper THEN 'SUPERUSER' END], NULL),
      'connection_limit', role.rolconnlimit,
      'verifier', role.rolpassword,
      'settings', coalesce(config.setconfig, ARRAY[]::text[]),
      'sessions', (
        SELECT count(*) FROM pg_catalog.pg_stat_activity AS session
        WHERE session.usesysid = role.oid),
      'memberships', ARRAY(
        SELECT DISTINCT granted.rolname
        FROM pg_catalog.pg_auth_members AS membership
        JOIN pg_catalog.pg_authid AS granted ON granted.oid = membership.roleid
        WHERE membership.member = role.oid
        ORDER BY granted.rolname)) ORDER BY role.rolname), '[]')
    FROM pg_catalog.pg_authid AS role
    LEFT JOIN pg_catalog.pg_db_role_setting AS config
      ON config.setrole = role.oid AND config.setdatabase = 0
    WHERE role.rolname !~ '^pg_'),
  'databases', (
    SELECT coalesce(json_agg(json_build_object(
      'name', database.datname,
      'owner', pg_catalog.pg_get_userbyid(database.datdba),
      'grants', ARRAY(
        SELECT json_build_object(
          'grantee',
          CASE WHEN entry.grantee <> 0 THEN pg_catalog.pg_get_userbyid(entry.grantee) END,
          'privilege', entry.privilege_type)
        FROM pg_catalog.aclexplode(
          coalesce(database.datacl, pg_catalog.acldefault('d', database.datdba))) AS entry
      )) ORDER BY database.datname), '[]')
    FROM pg_catalog.pg_database AS database
    WHERE NOT database.datistemplate),
  'extensions', (
    SELECT coalesce(json_agg(extname ORDER BY extname), '[]') FROM pg_catalog.pg_extension),
  'schemas', (
    SELECT coalesce(json_agg(json_build_object(
      'name', nspname, 'owner', pg_catalog.pg_get_userbyid(nspowner)) ORDER BY nspname), '[]')
    FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
  'default_privileges', (
    SELECT coalesce(json_agg(json_build_object(
      'owner', pg_catalog.pg_get_userbyid(defaults.defaclrole),
      'kind', defaults.defaclobjtype::text,
      'grantee', CASE WHEN entry.grantee <> 0 THEN pg_catalog.pg_get_userbyid(entry.grantee) END,
      'privilege', entry.privilege_type)), '[]')
    FROM pg_catalog.pg_default_acl AS defaults,
      LATERAL pg_catalog.aclexplode(defaults.defaclacl) AS entry
    WHERE defaults.defaclnamespace = 0),
  'settings', (
    SELECT coalesce(json_agg(json_build_object(
      'name', name, 'setting', setting, 'unit', unit, 'type', vartype, 'context', context,
      'source', source, 'source_file', sourcefile, 'pending_restart', pending_restart)
      ORDER BY name), '[]')
    FROM pg_catalog.pg_settings
    WHERE (source IN ('configuration file', 'command line', 'environment variable')
        OR pending_restart
        -- One that equals the value at the start is not "from" its file until the next restart.
        OR lower(name) IN (SELECT lower(file.name) FROM pg_catalog.pg_file_settings AS file))
      AND name NOT IN ('primary_conninfo', 'ssl_passphrase_command')),
  'file_settings', (
    SELECT coalesce(json_agg(json_build_object(
      'source_file', sourcefile, 'line', sourceline, 'name', name, 'setting', setting,
      'applied', applied, 'error', error) ORDER BY seqno), '[]')
    FROM pg_catalog.pg_file_settings
    WHERE name IS NULL OR name NOT IN ('primary_conninfo', 'ssl_passphrase_command')),
  'hba_errors', (
    SELECT coalesce(json_agg(json_build_object('line', line_number, 'error', error)
      ORDER BY line_number), '[]')
    FROM pg_catalog.pg_hba_file_rules
    WHERE error IS NOT NULL))"""
"""One JSON document, for a superuser by `psql -XAt` on PostgreSQL 15 to 18.

Extensions, schemas and default privileges are those of the database it is run in. It holds the
verifiers of passwords: pass it on and print it nowhere. Settings that can hold a secret are left
out.
"""


class StateError(ValueError):
    """An answer that is not that of `STATE_QUERY`, or that is about another database."""


@dataclass(frozen=True)
class ServerSetting:
    """A parameter in force; `type` is pg_settings' vartype, the others as there."""

    name: str
    setting: str
    unit: str | None
    type: str
    context: str
    source: str
    source_file: str | None
    pending_restart: bool


@dataclass(frozen=True)
class FileSetting:
    """A line of a configuration file as the server reads it now, before a reload."""

    source_file: str | None
    line: int | None
    name: str | None
    setting: str | None
    applied: bool
    error: str | None


@dataclass(frozen=True)
class HbaFault:
    """A line of pg_hba.conf that the server cannot read, which keeps all of a reload out."""

    line: int | None
    error: str


@dataclass(frozen=True)
class LedgerState:
    """The ledger of instances in a database; `snapshot` is None unless `version` is LATEST."""

    version: int = 0  # no migration has run
    privileges: frozenset[Privilege] = frozenset()
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class ServerState:
    """The server as `STATE_QUERY` saw it; `contents` and `ledger` are those of `database`.

    The keys of `settings` are in lower case.
    """

    version: int
    database: str
    roles: Mapping[str, RoleState] = field(repr=False)
    databases: Mapping[str, DatabaseState]
    contents: DatabaseContents
    settings: Mapping[str, ServerSetting]
    file_settings: tuple[FileSetting, ...]
    hba_faults: tuple[HbaFault, ...]
    ledger: LedgerState = field(default_factory=LedgerState)

    @property
    def major_version(self) -> int:
        """15 for 15.18."""
        return self.version // 10_000

    def contents_of(self, database: str) -> DatabaseContents:
        """What is inside `database`; nothing where it does not exist.

        Raises `StateError` where it exists but the query was run in another one.
        """
        return self.contents if self._was_read_in(database) else DatabaseContents()

    def ledger_of(self, database: str) -> LedgerState:
        """The ledger in `database`, as `contents_of` does."""
        return self.ledger if self._was_read_in(database) else LedgerState()

    def _was_read_in(self, database: str) -> bool:
        if database != self.database and database in self.databases:
            raise StateError(
                f"The state was read in database {self.database} and says nothing about what is "
                f"inside {database}: run the script for {database}."
            )
        return database == self.database


def state_script(database: str) -> str:
    """The text for psql's standard input (`psql -XAtq -d postgres`) that prints the state.

    It is read in `database` where that exists, else in the database psql is connected to.
    """
    return (
        "\\set ON_ERROR_STOP on\n"
        "SELECT count(*) = 1 AS present FROM pg_catalog.pg_database "
        f"WHERE datname = {quote_literal(database)}\n\\gset\n"
        f"\\if :present\n\\connect {quote_identifier(database)}\n\\endif\n"
        f"{_LEDGER_SCRIPT}"
        f"SELECT ({STATE_QUERY})::jsonb || jsonb_build_object('ledger', jsonb_build_object("
        f"'version', :version, 'privileges', ({PRIVILEGES_QUERY}), 'snapshot', :'snapshot'::jsonb"
        "));\n"
    )


# What the ledger says is only asked for where it speaks as this release understands it.
_LEDGER_SCRIPT: Final = f"""\
\\set version 0
\\set known false
\\set snapshot null
SELECT pg_catalog.to_regclass('stellwerk.migrations') IS NOT NULL AS migrated
\\gset
\\if :migrated
SELECT coalesce(max(version), 0) AS version, coalesce(max(version), 0) = {LATEST} AS known
FROM stellwerk.migrations
\\gset
\\endif
\\if :known
{SNAPSHOT_QUERY}
\\gset
\\endif
"""  # noqa: S608


def parse_state(document: str) -> ServerState:
    """Read the answer of `STATE_QUERY`.

    Raises `StateError` where it is not one; the message holds nothing of the answer.
    """
    try:
        return _server(json.loads(document))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"PostgreSQL's answer about its state cannot be read ({type(error).__name__}): check "
            "that psql ran as postgres and printed nothing else."
        ) from None


def _server(answer: Mapping[str, Any]) -> ServerState:
    return ServerState(
        version=int(answer["version"]),
        database=answer["database"],
        roles={each["name"]: _role(each) for each in answer["roles"]},
        databases={
            each["name"]: DatabaseState(each["owner"], frozenset(map(_grant, each["grants"])))
            for each in answer["databases"]
        },
        contents=DatabaseContents(
            extensions=frozenset(answer["extensions"]),
            schemas={each["name"]: each["owner"] for each in answer["schemas"]},
            default_privileges=frozenset(
                DefaultPrivilege(each["owner"], each["kind"], _grant(each))
                for each in answer["default_privileges"]
            ),
        ),
        settings={each["name"].lower(): ServerSetting(**each) for each in answer["settings"]},
        file_settings=tuple(FileSetting(**each) for each in answer["file_settings"]),
        hba_faults=tuple(HbaFault(**each) for each in answer["hba_errors"]),
        ledger=_ledger(answer["ledger"]) if "ledger" in answer else LedgerState(),
    )


def _ledger(answer: Mapping[str, Any]) -> LedgerState:
    snapshot = answer["snapshot"]
    return LedgerState(
        version=answer["version"],
        privileges=parse_privileges(answer["privileges"]),
        snapshot=None if snapshot is None else parse_snapshot(snapshot),
    )


def _role(answer: Mapping[str, Any]) -> RoleState:
    return RoleState(
        attributes=frozenset(map(Attribute, answer["attributes"])),
        connection_limit=answer["connection_limit"],
        verifier=answer["verifier"],
        settings=_role_settings(answer["settings"]),
        memberships=frozenset(answer["memberships"]),
        sessions=answer["sessions"],
    )


def _role_settings(entries: Iterable[str]) -> dict[str, str]:
    # PostgreSQL keeps a few names in mixed case ("TimeZone") but takes them in any.
    pairs = (entry.split("=", 1) for entry in entries)
    return {name.lower(): value for name, value in pairs}


def _grant(answer: Mapping[str, Any]) -> Grant:
    return Grant(answer["grantee"], answer["privilege"])
