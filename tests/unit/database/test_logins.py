"""A changed password is taken beside the one of before, until that is withdrawn."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.logins import (
    LONGEST_NAME,
    former_logins,
    login_of,
    with_logins,
    withdrawal,
)
from stellwerk.database.roles import Attribute, Role, RoleState, role_statements
from stellwerk.database.state import ServerState, parse_state, state_script
from stellwerk.database.statement import psql_script
from tests.unit.database.postgres_server import Server

ROLE = Role(
    "rotated",
    password="the first",
    connection_limit=7,
    settings={"statement_timeout": "30s"},
    memberships=frozenset({"pg_monitor"}),
)
CHANGED = replace(ROLE, password="the second")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,62}", fullmatch=True)


@given(NAMES, st.text())
def test_a_login_has_a_name_that_postgresql_takes_whole(role: str, password: str) -> None:
    name = login_of(role, password)
    assert len(name) <= LONGEST_NAME
    assert name == login_of(role, password)
    assert name != role


def test_the_name_of_a_login_tells_little_of_its_password() -> None:
    assert len({login_of("app", str(number)) for number in range(20_000)}) <= 16**3


def test_rights_are_those_of_the_role_and_limits_those_of_its_logins() -> None:
    rights, login = with_logins(ROLE)
    assert (rights.name, rights.password, rights.settings) == ("rotated", None, {})
    assert Attribute.LOGIN not in rights.attributes
    assert rights.memberships == {"pg_monitor"}
    assert login.password == "the first"
    assert login.connection_limit == 7
    assert login.settings == {"statement_timeout": "30s", "role": "rotated"}
    assert login.memberships == {"rotated"}


def test_a_role_without_a_password_has_no_login() -> None:
    assert with_logins(Role("ledger")) == (Role("ledger"),)
    assert former_logins(Role("ledger"), {"ledger_abc": RoleState()}) == {}


def test_only_what_is_a_login_of_the_role_is_one_of_before() -> None:
    login = RoleState(attributes=frozenset({Attribute.LOGIN}), memberships=frozenset({"rotated"}))
    others = {
        login_of("rotated", "the first"): login,  # the present one
        "rotated_report": login,
        "rotated_abcd": login,
        "rotated_abc": replace(login, memberships=frozenset()),
        "rotated_abd": replace(login, attributes=frozenset()),  # withdrawn, but owns something
    }
    assert former_logins(ROLE, {**others, "rotated_123": login}) == {"rotated_123": login}


def state(server: Server) -> ServerState:
    return parse_state(server.psql(state_script("postgres")))


def converge(server: Server, role: Role) -> None:
    server.psql(psql_script(role_statements(with_logins(role), state(server).roles)))


def log_in(server: Server, role: Role, script: str = "SELECT 1") -> str:
    assert role.password is not None
    return server.psql(script, role=login_of(role.name, role.password), password=role.password)


@pytest.fixture
def rotated(server: Server) -> Server:
    """A server that was given one password of the role, and then another."""
    server.psql("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    for role in (ROLE, CHANGED):
        converge(server, role)
    return server


@pytest.mark.programs
def test_both_passwords_let_in_until_that_of_before_is_withdrawn(rotated: Server) -> None:
    for role in (ROLE, CHANGED):
        shown = log_in(rotated, role, "SELECT current_user; SHOW statement_timeout")
        assert shown == "rotated\n30s\n"
    (former,) = former_logins(CHANGED, state(rotated).roles)
    rotated.psql(psql_script([withdrawal(former)]))
    assert former_logins(CHANGED, state(rotated).roles) == {}
    assert log_in(rotated, CHANGED) == "1\n"
    with pytest.raises(AssertionError, match=r"does not exist|authentication failed"):
        log_in(rotated, ROLE)
    assert role_statements(with_logins(CHANGED), state(rotated).roles) == ()


@pytest.mark.programs
def test_a_login_that_owns_something_loses_its_password_only(rotated: Server) -> None:
    former = login_of("rotated", "the first")
    rotated.psql(f"GRANT ALL ON SCHEMA public TO {former};")
    log_in(rotated, ROLE, "SET ROLE NONE; CREATE TABLE kept ();")
    rotated.psql(psql_script([withdrawal(former)]))
    assert former_logins(CHANGED, state(rotated).roles) == {}
    assert rotated.psql("SELECT count(*) FROM kept") == "0\n"
    with pytest.raises(AssertionError, match=r"not permitted|authentication failed"):
        log_in(rotated, ROLE)


@pytest.mark.programs
def test_the_state_tells_how_many_sessions_a_role_has(server: Server) -> None:
    assert state(server).roles["postgres"].sessions >= 1
