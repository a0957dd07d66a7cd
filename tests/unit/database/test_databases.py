"""The product's database becomes what it should be, and nothing is dropped."""

from dataclasses import replace

from stellwerk.database.databases import (
    PUBLIC,
    Database,
    DatabaseContents,
    DatabaseState,
    DefaultPrivilege,
    Grant,
    database_statements,
)
from stellwerk.database.statement import Statement, psql_script

STOCK = Database(
    "stock",
    owner="owner",
    writers=frozenset({"app"}),
    connect=frozenset({"monitor"}),
    schemas={"stellwerk": "ledger"},
)
STATE = DatabaseState(
    "owner",
    frozenset({Grant("owner", "CONNECT"), Grant("app", "CONNECT"), Grant("monitor", "CONNECT")}),
)
CONTENTS = DatabaseContents(
    extensions=frozenset({"plpgsql", "pg_stat_statements"}),
    schemas={"public": "pg_database_owner", "stellwerk": "ledger"},
    default_privileges=frozenset(
        DefaultPrivilege("owner", kind, Grant("app", privilege))
        for kind, privilege in [
            *(("r", each) for each in ("SELECT", "INSERT", "UPDATE", "DELETE")),
            *(("S", each) for each in ("USAGE", "SELECT")),
            ("n", "USAGE"),
        ]
    ),
)


def sql(state: DatabaseState | None, contents: DatabaseContents) -> list[str]:
    return [statement.sql for statement in database_statements(STOCK, state, contents)]


def test_a_new_database_gets_its_privileges_extension_and_schema() -> None:
    assert sql(None, DatabaseContents()) == [
        'CREATE DATABASE "stock" OWNER "owner" TEMPLATE template0 '
        "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
        'REVOKE ALL ON DATABASE "stock" FROM PUBLIC',
        'GRANT CONNECT ON DATABASE "stock" TO "app"',
        'GRANT CONNECT ON DATABASE "stock" TO "monitor"',
        'CREATE EXTENSION "pg_stat_statements"',
        'CREATE SCHEMA "stellwerk" AUTHORIZATION "ledger"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "owner" '
        'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "app"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "owner" GRANT USAGE, SELECT ON SEQUENCES TO "app"',
        'ALTER DEFAULT PRIVILEGES FOR ROLE "owner" GRANT USAGE ON SCHEMAS TO "app"',
    ]


def test_a_database_as_declared_needs_no_statement() -> None:
    assert sql(STATE, CONTENTS) == []


def test_a_database_open_to_everyone_is_closed() -> None:
    opened = replace(STATE, grants=STATE.grants | {Grant(PUBLIC, "TEMPORARY")})
    assert sql(opened, CONTENTS) == ['REVOKE ALL ON DATABASE "stock" FROM PUBLIC']


def test_another_owner_is_replaced() -> None:
    assert sql(replace(STATE, owner="postgres"), CONTENTS) == [
        'ALTER DATABASE "stock" OWNER TO "owner"'
    ]
    moved = replace(CONTENTS, schemas={"stellwerk": "postgres"})
    assert sql(STATE, moved) == ['ALTER SCHEMA "stellwerk" OWNER TO "ledger"']


def test_a_default_privilege_that_lacks_a_part_is_granted_again() -> None:
    missing = DefaultPrivilege("owner", "r", Grant("app", "DELETE"))
    part = replace(CONTENTS, default_privileges=CONTENTS.default_privileges - {missing})
    (statement,) = sql(STATE, part)
    assert "ON TABLES" in statement


def test_grants_and_schemas_of_others_are_left_alone() -> None:
    others = replace(STATE, grants=STATE.grants | {Grant("somebody", "CREATE")})
    assert sql(others, replace(CONTENTS, schemas={**CONTENTS.schemas, "theirs": "x"})) == []


def test_a_script_runs_each_statement_in_its_database() -> None:
    plan = (
        Statement("a", "SELECT 1"),
        Statement("b", "SELECT 2", database='odd "name"'),
        Statement("c", "SELECT 3", database='odd "name"'),
    )
    assert psql_script(plan).splitlines()[2:] == [
        '\\connect "postgres"',
        "SELECT 1;",
        '\\connect "odd ""name"""',
        "SELECT 2;",
        "SELECT 3;",
    ]
