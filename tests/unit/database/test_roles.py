"""Declared roles become what they should be, others are left alone, passwords stay unseen."""

from dataclasses import replace

import pytest

from stellwerk.database.roles import Attribute, Role, RoleError, RoleState, role_statements
from stellwerk.database.scram import make_verifier, verifier_matches
from stellwerk.database.setting import SettingError
from stellwerk.database.statement import Statement

SALT = bytes(16)
PASSWORD = "planted-secret"
APP = Role(
    "app",
    password=PASSWORD,
    connection_limit=50,
    settings={"statement_timeout": "30s"},
    memberships=frozenset({"pg_monitor"}),
)
APP_STATE = RoleState(
    attributes=frozenset({Attribute.LOGIN, Attribute.INHERIT}),
    connection_limit=50,
    verifier=make_verifier(PASSWORD, SALT),
    settings={"statement_timeout": "30s"},
    memberships=frozenset({"pg_monitor"}),
)


def statements(role: Role, state: RoleState | None = None) -> tuple[Statement, ...]:
    existing = {} if state is None else {role.name: state}
    return role_statements((role,), existing, new_salt=lambda: SALT)


def sql(role: Role, state: RoleState | None = None) -> list[str]:
    return [statement.sql for statement in statements(role, state)]


def test_a_new_role_is_created_with_everything_it_needs() -> None:
    assert sql(APP) == [
        'CREATE ROLE "app" LOGIN INHERIT NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS '
        f"NOSUPERUSER CONNECTION LIMIT 50 PASSWORD '{make_verifier(PASSWORD, SALT)}'",
        "ALTER ROLE \"app\" SET statement_timeout = '30s'",
        'GRANT "pg_monitor" TO "app"',
    ]


def test_a_role_as_declared_needs_no_statement() -> None:
    assert statements(APP, APP_STATE) == ()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (replace(APP_STATE, connection_limit=-1), ['ALTER ROLE "app" CONNECTION LIMIT 50']),
        (
            replace(APP_STATE, attributes=APP_STATE.attributes | {Attribute.SUPERUSER}),
            ['ALTER ROLE "app" NOSUPERUSER'],
        ),
        (replace(APP_STATE, attributes=frozenset({Attribute.INHERIT})), ['ALTER ROLE "app" LOGIN']),
        (
            replace(APP_STATE, settings={"statement_timeout": "1s", "lock_timeout": "1s"}),
            [
                'ALTER ROLE "app" RESET lock_timeout',
                "ALTER ROLE \"app\" SET statement_timeout = '30s'",
            ],
        ),
        (
            replace(APP_STATE, memberships=frozenset({"pg_execute_server_program"})),
            ['REVOKE "pg_execute_server_program" FROM "app"', 'GRANT "pg_monitor" TO "app"'],
        ),
        (
            replace(APP_STATE, verifier="md5a1b2c3d4e5f60718293a4b5c6d7e8f90"),
            [f"ALTER ROLE \"app\" PASSWORD '{make_verifier(PASSWORD, SALT)}'"],
        ),
    ],
)
def test_only_what_differs_is_altered(state: RoleState, expected: list[str]) -> None:
    assert sql(APP, state) == expected


def test_a_password_that_is_no_longer_declared_is_removed() -> None:
    assert sql(replace(APP, password=None), APP_STATE) == ['ALTER ROLE "app" PASSWORD NULL']


def test_a_password_is_neither_in_sql_nor_in_any_representation() -> None:
    planned = statements(APP)
    assert all(PASSWORD not in statement.sql for statement in planned)
    assert PASSWORD not in repr((APP, planned, APP_STATE))
    assert "SCRAM" not in repr((planned, APP_STATE))
    assert any("PASSWORD" in statement.summary for statement in planned)


def test_each_new_verifier_has_a_salt_of_its_own() -> None:
    first, second = (role_statements((APP,), {})[0].sql.split("'")[1] for _ in range(2))
    assert first != second
    assert verifier_matches(first, PASSWORD)
    assert verifier_matches(second, PASSWORD)


def test_roles_exist_before_one_becomes_a_member_of_another() -> None:
    member = Role("a", memberships=frozenset({"b"}))
    planned = role_statements((member, Role("b")), {})
    assert [statement.sql.split()[0] for statement in planned] == ["CREATE", "CREATE", "GRANT"]


def test_roles_that_are_not_declared_are_never_touched() -> None:
    others = {"somebody": replace(APP_STATE, attributes=frozenset(Attribute))}
    assert role_statements((APP,), {**others, "app": APP_STATE}) == ()


@pytest.mark.parametrize("name", ["postgres", "pg_monitor"])
def test_postgresqls_own_roles_cannot_be_declared(name: str) -> None:
    with pytest.raises(RoleError, match=name):
        statements(Role(name))


def test_a_role_declared_twice_is_refused() -> None:
    with pytest.raises(RoleError, match="app is declared twice"):
        role_statements((APP, replace(APP, connection_limit=1)), {})


def test_a_setting_name_cannot_carry_sql() -> None:
    with pytest.raises(SettingError):
        statements(Role("app", settings={"x = 1; DROP ROLE y; --": "1"}))


def test_a_list_of_schemas_is_refused_instead_of_taken_for_one_name() -> None:
    with pytest.raises(RoleError, match="search_path"):
        statements(Role("app", settings={"search_path": "stellwerk, public"}))
