"""Plans carried out on a real server leave nothing to do for the next run."""

from dataclasses import replace

import pytest

from stellwerk.database.configuration import render
from stellwerk.database.convergence import Obstacle, differences, pending_restart
from stellwerk.database.databases import Database, database_statements
from stellwerk.database.hba import render_hba
from stellwerk.database.quantities import GIBIBYTE
from stellwerk.database.quoting import quote_identifier
from stellwerk.database.roles import Attribute, Role, removal_statements, role_statements
from stellwerk.database.state import (
    STATE_QUERY,
    ServerState,
    StateError,
    parse_state,
    state_script,
)
from stellwerk.database.statement import Statement, psql_script
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from tests.unit.database.postgres_server import HBA, Server

pytestmark = pytest.mark.programs

ODD_NAME = "odd \"name\" 'with' \\ and ü"
PASSWORD = "a 'quoted' \\ pass$word"
ROLES = (
    Role("owner", password="owner-password"),
    Role(
        ODD_NAME,
        password=PASSWORD,
        connection_limit=7,
        settings={
            "statement_timeout": "30s",
            "timezone": "Europe/Berlin",
            "application_name": "it's \\ here",
            "search_path": "stellwerk",
        },
    ),
    Role("monitor", password="monitor-password", memberships=frozenset({"pg_monitor"})),
    Role("ledger", attributes=frozenset({Attribute.LOGIN})),
)
DATABASE = Database(
    'stock "exchange"',
    owner="owner",
    writers=frozenset({ODD_NAME}),
    connect=frozenset({"monitor", "ledger"}),
    schemas={"stellwerk": "ledger"},
)


def read(server: Server) -> ServerState:
    return parse_state(server.psql(state_script(DATABASE.name)))


def plan(state: ServerState) -> tuple[Statement, ...]:
    return (
        *role_statements(ROLES, state.roles),
        *database_statements(
            DATABASE, state.databases.get(DATABASE.name), state.contents_of(DATABASE.name)
        ),
    )


@pytest.fixture(scope="module")
def converged(server: Server) -> Server:
    """The server after the first run."""
    server.psql(psql_script(plan(read(server))))
    return server


def test_a_second_run_has_nothing_to_do(converged: Server) -> None:
    assert plan(read(converged)) == ()


def test_a_drifted_server_is_brought_back(converged: Server) -> None:
    converged.psql(
        "ALTER ROLE monitor SUPERUSER PASSWORD NULL; REVOKE pg_monitor FROM monitor;"
        "ALTER ROLE monitor SET TimeZone = 'UTC';"
        'GRANT CONNECT ON DATABASE "stock ""exchange""" TO PUBLIC;'
        'ALTER DATABASE "stock ""exchange""" OWNER TO postgres;'
    )
    drifted = plan(read(converged))
    assert len(drifted) == 5
    converged.psql(psql_script(drifted))
    assert plan(read(converged)) == ()


def test_the_password_behind_the_verifier_logs_in_and_no_other(converged: Server) -> None:
    converged.psql("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    said = converged.psql("SELECT current_setting('TimeZone')", role=ODD_NAME, password=PASSWORD)
    assert said == "Europe/Berlin\n"
    with pytest.raises(AssertionError, match="password authentication failed"):
        converged.psql("SELECT 1", role=ODD_NAME, password="another")


def test_the_owner_creates_the_app_writes_and_the_monitor_reads_nothing(
    converged: Server,
) -> None:
    connect = '\\connect "stock ""exchange"""\n'
    converged.psql(f"{connect}SET ROLE owner; CREATE TABLE t (id serial, v int)")
    app = ODD_NAME.replace('"', '""')
    assert (
        converged.psql(
            f'{connect}SET ROLE "{app}"; INSERT INTO t (v) VALUES (1); SELECT count(*) FROM t'
        )
        == "1\n"
    )
    with pytest.raises(AssertionError, match="permission denied"):
        converged.psql(f"\\set ON_ERROR_STOP on\n{connect}SET ROLE monitor; SELECT * FROM t")
    with pytest.raises(AssertionError, match="permission denied"):
        converged.psql(f'\\set ON_ERROR_STOP on\n{connect}SET ROLE "{app}"; CREATE TABLE u ()')


def test_a_database_in_which_the_query_was_not_run_is_not_guessed_about(converged: Server) -> None:
    state = parse_state(converged.psql(f"{STATE_QUERY};"))
    with pytest.raises(StateError, match="says nothing"):
        state.contents_of(DATABASE.name)


def test_the_state_shows_no_verifier(converged: Server) -> None:
    assert "SCRAM" not in repr(read(converged))


def test_an_unreadable_answer_is_refused_without_being_shown() -> None:
    with pytest.raises(StateError) as refused:
        parse_state('{"version": 150000, "secret": 1}')
    assert "secret" not in str(refused.value)


def test_the_server_accepts_the_rendered_pg_hba(converged: Server) -> None:
    entries = [(ODD_NAME.replace('"', ""), "10.0.0.1"), ("monitor", "fd00::/64")]
    file = converged.data / "pg_hba.conf"
    file.write_text(render_hba("all", entries))
    try:
        assert read(converged).hba_faults == ()
        assert converged.psql("SELECT count(*) FROM pg_hba_file_rules") == "4\n"
        file.write_text("host all all everywhere\n")
        assert len(read(converged).hba_faults) == 1
    finally:
        file.write_text(HBA)


def test_a_tuning_needs_a_reload_then_a_restart_and_shows_what_overrides_it(
    converged: Server,
) -> None:
    tuning = tune(
        HostResources(GIBIBYTE, 2), TuningInputs(version=converged.binaries.major_version)
    )
    drop_in = converged.data / "drop_in.conf"
    drop_in.write_text(render(tuning, {"cluster_name": "it's \\ here\nand ü"}))
    desired = {setting.name: setting.value for setting in tuning.settings}

    before = {each.name: each for each in differences(desired, read(converged), str(drop_in))}
    assert "work_mem" in before
    assert {each.obstacle for each in before.values()} == {Obstacle.RELOAD}

    converged.psql("ALTER SYSTEM SET jit = on; SELECT pg_reload_conf(); SELECT pg_sleep(0.3)")
    state = read(converged)
    after = {each.name: each.obstacle for each in differences(desired, state, str(drop_in))}
    assert after.pop("jit") is Obstacle.SHADOWED
    assert set(after.values()) == {Obstacle.RESTART}, after
    assert set(after) | {"cluster_name"} == set(pending_restart(state))
    assert "shared_buffers" in after

    converged.psql("ALTER SYSTEM RESET jit")
    arguments = ("-D", str(converged.data), "-l", str(converged.data / "log"), "-w")
    assert converged.binaries.run("pg_ctl", *arguments, "restart").returncode == 0
    state = read(converged)
    assert differences(desired, state, str(drop_in)) == ()
    assert pending_restart(state) == ()
    assert state.settings["cluster_name"].setting.startswith("it's \\ here")


def test_a_role_that_is_no_longer_a_member_of_anything_leaves_it(converged: Server) -> None:
    state = read(converged)
    alone = replace(ROLES[2], memberships=frozenset())
    (statement,) = role_statements((alone,), state.roles)
    assert statement.sql == 'REVOKE "pg_monitor" FROM "monitor"'


def test_a_role_is_removed_on_request_and_what_it_owned_goes_to_the_heir(
    converged: Server,
) -> None:
    connect = f"\\connect {quote_identifier(DATABASE.name)}\n"
    converged.psql(
        'CREATE ROLE "old one";'
        f' GRANT CREATE ON DATABASE {quote_identifier(DATABASE.name)} TO "old one";'
        f'{connect}CREATE SCHEMA left_over AUTHORIZATION "old one";'
    )
    asked = ("old one", "never there")
    statements = list(removal_statements(asked, read(converged).roles, DATABASE.name, "owner"))
    assert [one.summary for one in statements] == ["remove role old one"]
    converged.psql(psql_script(statements))
    assert "old one" not in read(converged).roles
    owner = "SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'left_over';"
    assert converged.psql(f"{connect}{owner}").strip() == "owner"
    assert not [*removal_statements(asked, read(converged).roles, DATABASE.name, "owner")]
    converged.psql(f"{connect}DROP SCHEMA left_over;")
