"""Each role can do its part in the ledger and nothing else, on a real server."""

import pytest

from stellwerk.database.statement import psql_script
from stellwerk.instances.grants import TABLES, Privilege, grant_statements
from tests.unit.instances.ledger_server import (
    AGENT,
    APP,
    DATABASE,
    LEDGER,
    OWNER,
    ROLES,
    LedgerServer,
)

pytestmark = pytest.mark.programs

ROLLOUT = "INSERT INTO stellwerk.rollouts (service, generation) VALUES ('shop', '2')"
# What only a superuser may do, whoever else asks.
NOBODYS = (
    "DROP TABLE stellwerk.events",
    "DROP SCHEMA stellwerk CASCADE",
    "ALTER TABLE stellwerk.instances DISABLE TRIGGER ALL",
    "ALTER TABLE stellwerk.desired OWNER TO CURRENT_USER",
    "CREATE TABLE stellwerk.mine ()",
    "CREATE FUNCTION stellwerk.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "TRUNCATE stellwerk.services CASCADE",
    "INSERT INTO stellwerk.services VALUES ('mine', '1')",
    "INSERT INTO stellwerk.generations VALUES ('shop', '2')",
    "DELETE FROM stellwerk.services",
    "DELETE FROM stellwerk.rollouts",
    "DELETE FROM stellwerk.events",
    "UPDATE stellwerk.events SET detail = 'nothing happened'",
    "INSERT INTO stellwerk.migrations VALUES (99, 'mine')",
    "DELETE FROM stellwerk.migrations",
)
AGENTS_NOT = (
    "UPDATE stellwerk.services SET generation = '2'",
    "UPDATE stellwerk.services SET rollout = 7",
    "INSERT INTO stellwerk.desired VALUES ('shop', 'app-1', 9)",
    "UPDATE stellwerk.desired SET instances = 9",
    "DELETE FROM stellwerk.desired",
    ROLLOUT,
    "UPDATE stellwerk.rollouts SET generation = '2'",
    "UPDATE stellwerk.rollouts SET max_unavailable = 9",
    "INSERT INTO stellwerk.scaling_orders (service) VALUES ('shop')",
    "DELETE FROM stellwerk.scaling_states",
)
LEDGERS_NOT = (
    "UPDATE stellwerk.services SET stable = '2'",
    "INSERT INTO stellwerk.instances VALUES ('shop', 8101, 'app-1', '192.0.2.1', '1')",
    "UPDATE stellwerk.instances SET state = 'ready'",
    "DELETE FROM stellwerk.instances",
    "UPDATE stellwerk.sightings SET seen = 'out'",
    "UPDATE stellwerk.agents SET seen_at = now()",
    "UPDATE stellwerk.rollouts SET generation = '2'",
    "UPDATE stellwerk.rollouts SET canary_passed = true",
    "DELETE FROM stellwerk.scaling_decisions",
    "UPDATE stellwerk.scaling_decisions SET sentence = 'nothing happened'",
)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        *((role, statement) for role in (AGENT, LEDGER) for statement in NOBODYS),
        *((AGENT, statement) for statement in AGENTS_NOT),
        *((LEDGER, statement) for statement in LEDGERS_NOT),
        *((role, f"SELECT FROM stellwerk.{table}") for role in (APP, OWNER) for table in TABLES),
        *((role, statement) for role in (APP, OWNER) for statement in (*NOBODYS, *AGENTS_NOT)),
        *((role, "SELECT stellwerk.prune_events()") for role in (APP, OWNER)),
    ],
)
def test_a_role_may_not(deployed: LedgerServer, role: str, statement: str) -> None:
    with pytest.raises(AssertionError, match=r"permission denied|must be owner"):
        deployed.psql(statement, role=role)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        *((role, f"SELECT FROM stellwerk.{table}") for role in (AGENT, LEDGER) for table in TABLES),
        (AGENT, "SELECT FROM stellwerk.services FOR UPDATE"),
        (AGENT, "UPDATE stellwerk.services SET stable = '2'"),
        (
            AGENT,
            "INSERT INTO stellwerk.events (kind) VALUES ('x'); SELECT stellwerk.prune_events()",
        ),
        (AGENT, "UPDATE stellwerk.rollouts SET state = 'done', journal = 'x'"),
        (LEDGER, "INSERT INTO stellwerk.desired VALUES ('shop', 'app-1', 9)"),
        (LEDGER, f"{ROLLOUT}; UPDATE stellwerk.services SET generation = '2', rollout = 1"),
        (LEDGER, "UPDATE stellwerk.instances SET held = true"),
    ],
)
def test_a_role_may(ledger_server: LedgerServer, role: str, statement: str) -> None:
    ledger_server.declare("shop")
    ledger_server.psql(statement, role=role)


def test_rights_are_known_for_every_table(ledger_server: LedgerServer) -> None:
    rows = ledger_server.psql(
        "SELECT relname FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = to_regnamespace('stellwerk') ORDER BY 1"
    )
    assert tuple(rows.split()) == TABLES


def test_a_second_deploy_has_nothing_to_do(ledger_server: LedgerServer) -> None:
    assert ledger_server.plan() == ()


def test_rights_that_drifted_are_brought_back_in_one_run(ledger_server: LedgerServer) -> None:
    before = ledger_server.state().ledger.privileges
    ledger_server.psql(
        f"GRANT ALL ON ALL TABLES IN SCHEMA stellwerk TO {AGENT};"
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA stellwerk TO {APP};"
        f"GRANT SELECT (name) ON stellwerk.services TO {APP};"
        "GRANT CREATE ON SCHEMA stellwerk TO PUBLIC;"
        f"GRANT EXECUTE ON FUNCTION stellwerk.tell() TO PUBLIC;"
        f"REVOKE SELECT ON stellwerk.events FROM {LEDGER}"
    )
    drifted = ledger_server.plan()
    assert len(drifted) == 4, [one.summary for one in drifted]
    ledger_server.deploy()
    assert ledger_server.state().ledger.privileges == before
    assert ledger_server.plan() == ()


def test_rights_that_an_operator_gave_to_a_role_of_his_own_are_left_alone(
    ledger_server: LedgerServer,
) -> None:
    ledger_server.psql("CREATE ROLE reports; GRANT SELECT ON stellwerk.events TO reports")
    try:
        assert ledger_server.plan() == ()
    finally:
        ledger_server.psql("DROP OWNED BY reports; DROP ROLE reports")


def test_odd_role_names_are_quoted() -> None:
    odd = 'a "b'
    taken = frozenset({Privilege(odd, "TABLE", "events", "DELETE")})
    roles = type(ROLES)("agent", "ledger", frozenset({odd}))
    (statement, *_) = grant_statements(roles, taken, DATABASE)
    assert 'REVOKE DELETE ON TABLE stellwerk.events FROM "a ""b";' in statement.sql
    assert psql_script([statement]).count("COMMIT;") == 1
