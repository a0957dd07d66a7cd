"""The commands as operators run them on a host, on a real ledger. Agents are played by rows."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from click.testing import CliRunner, Result
from psycopg import sql

from stellwerk.cli import main
from stellwerk.database.logins import login_of
from stellwerk.instances import access, looking
from stellwerk.instances.grants import LedgerRoles, grant_statements
from stellwerk.instances.migrations import migration_statements
from tests.unit.database.postgres_server import Server, find_binaries, running

pytestmark = pytest.mark.programs

CORE = "aktienanalyse-core"
OLD, NEW = "3f2a91c7aa00bb11", "9bc01d2e77665544"
PASSWORD = "no-secret"
ROLES = LedgerRoles("stellwerk_agent", "stellwerk_ledger")
AGENT_TIMEOUT = 20.0


class Host:
    """A host of a cluster: its files, its ledger, and the commands that are run on it."""

    def __init__(self, server: Server, database: str, folder: Path) -> None:
        self.folder = folder
        self.socket = str(server.data.parent)
        self.database = database
        self.ledger = self.connect()
        self.write_settings(self.socket)
        self.grant("postgresql.ledger")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=self.socket, dbname=self.database, user="postgres", autocommit=True
        )

    def write_settings(self, address: str, name: str = "db-1") -> None:
        service = {"max_instances": 4, "memory": "64MB", "drain_timeout_seconds": 5}
        balanced = {"balancer": "haproxy", "backend_name": "core", "listen_port": 9100}
        document = {
            "host": name,
            "members": {
                "lb-1": {"address": "198.18.0.11", "groups": ["balancers"]},
                "app-1": {"address": "198.18.0.21", "groups": ["apps"]},
                "db-1": {"address": address, "groups": ["databases", "monitors"]},
            },
            "settings": {
                "postgresql": {"database": self.database},
                "services": {
                    CORE: {**service, **balanced, "port_base": 8100},
                    "alone": {**service, "port_base": 8500},
                },
            },
        }
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(document))

    def grant(self, *names: str) -> None:
        """Leave the host just these credentials."""
        credentials = self.folder / "credentials"
        credentials.mkdir(exist_ok=True)
        for file in credentials.iterdir():
            file.unlink()
        for name in names:
            (credentials / name).write_text(f"{PASSWORD}\n")

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.ledger.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(main, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def instance(self, port: int, state: str = "ready", seen: str = "up") -> None:
        self.sql(
            "INSERT INTO stellwerk.instances (service, port, host, address, generation, state)"
            " VALUES (%s, %s, 'app-1', '198.18.0.21', %s, %s)",
            CORE,
            port,
            OLD,
            state,
        )
        self.sql(
            "INSERT INTO stellwerk.sightings (service, port, balancer, seen)"
            " VALUES (%s, %s, 'lb-1', %s)",
            CORE,
            port,
            seen,
        )

    @contextmanager
    def agents(self, act: Callable[[psycopg.Connection[tuple[Any, ...]]], None]) -> Iterator[None]:
        """Play agents: `act` again and again while the block runs."""
        stopped = threading.Event()

        def play() -> None:
            with self.connect() as connection:
                while not stopped.wait(0.01):
                    act(connection)

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join(AGENT_TIMEOUT)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with running(binaries) as started:
        for role in (ROLES.agent, ROLES.ledger):
            login = login_of(role, PASSWORD)
            started.psql(
                f"CREATE ROLE {role};CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}"
            )
        yield started


@pytest.fixture
def host(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Host]:
    """db-1 of a cluster with core's OLD generation, two earlier ones, and all agents alive."""
    database = f"ledger_{abs(hash(request.node.name))}"
    server.psql(f"CREATE DATABASE {database}")
    monkeypatch.setattr(access, "FOLDER", tmp_path)
    monkeypatch.setattr(looking, "PAUSE_SECONDS", 0.02)
    monkeypatch.setenv("STELLWERK_OPERATOR", "anna on control")
    with psycopg.connect(
        host=str(server.data.parent), dbname=database, user="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE SCHEMA stellwerk")
        for statement in (
            *migration_statements(0, database),
            *grant_statements(ROLES, frozenset(), database),
        ):
            connection.execute(sql.SQL(statement.sql))
    made = Host(server, database, tmp_path)
    made.sql(
        "INSERT INTO stellwerk.services VALUES (%s, %s, %s), ('alone', 'aa', 'aa')", CORE, OLD, OLD
    )
    for generation, release, days in [
        ("1111111111111111", "1.0", 9),
        (OLD, "2.0", 5),
        (NEW, "3.0", 1),
    ]:
        made.sql(
            "INSERT INTO stellwerk.generations"
            " VALUES (%s, %s, %s, now() - make_interval(days => %s))",
            CORE,
            generation,
            release,
            days,
        )
    made.sql(
        "INSERT INTO stellwerk.agents (host, role) VALUES ('app-1', 'apps'), ('lb-1', 'balancers')"
    )
    made.sql("INSERT INTO stellwerk.desired VALUES (%s, 'app-1', 2)", CORE)
    yield made
    made.ledger.close()


def balancers_obey(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """What balancers' agents do."""
    connection.execute(
        "UPDATE stellwerk.sightings AS seen SET seen = CASE WHEN held THEN 'out' ELSE 'up' END"
        " FROM stellwerk.instances AS one WHERE (one.service, one.port) = (seen.service, seen.port)"
    )


def finish(state: str) -> Callable[[psycopg.Connection[tuple[Any, ...]]], None]:
    """What app hosts' agents do in the end."""

    def act(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        connection.execute(
            "UPDATE stellwerk.rollouts SET state = %s, finished_at = now(), reason = 'no answer',"
            " failed_instance = 'aktienanalyse-core@8101', journal = 'boom'"
            " WHERE state = 'running'",
            [state],
        )

    return act


def test_the_list_shows_every_instance(host: Host) -> None:
    host.instance(8101)
    host.instance(8102, "failed", "out")
    shown = host.run("instances")
    assert shown.exit_code == 0
    assert "  8101  app-1  ready" in shown.output
    assert "  8102  app-1  failed" in shown.output
    assert "1 ready of 2 desired" in shown.output


def test_services_and_options_may_stand_where_a_command_would(host: Host) -> None:
    host.instance(8101)
    (one,) = json.loads(host.run("instances", CORE, "--json").output)["instances"]
    assert (one["name"], one["in_rotation"]) == (f"{CORE}@8101", {"lb-1": "up"})
    assert json.loads(host.run("instances", "--json", "--host", "lb-1").output)["instances"] == []


def test_an_unknown_service_host_or_instance_names_the_nearest(host: Host) -> None:
    host.instance(8101)
    service = host.run("instances", "aktienanalyse-cor")
    elsewhere = host.run("instances", "--host", "app-2")
    instance = host.run("instances", "drain", f"{CORE}@8191")
    assert [one.exit_code for one in (service, elsewhere, instance)] == [2, 2, 2]
    assert service.output == f"aktienanalyse-cor: unknown service; did you mean {CORE}?\n"
    assert "did you mean app-1?" in elsewhere.output
    assert f"did you mean {CORE}@8101?" in instance.output


def test_a_watched_list_follows_the_ledger_until_ctrl_c(host: Host) -> None:
    host.instance(8101, "starting", "out")
    # Ctrl-C is ignored by all that a shell started in its background, so maybe by these tests.
    program = (
        "import signal, sys; from pathlib import Path; from stellwerk.cli import main;"
        "from stellwerk.instances import access;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "access.FOLDER = Path(sys.argv.pop(1)); main()"
    )
    command = [sys.executable, "-c", program, str(host.folder), "instances", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert any("8101  app-1  starting" in line for line in watching.stdout)
        host.sql("UPDATE stellwerk.instances SET state = 'ready'")
        assert any("8101  app-1  ready" in line for line in watching.stdout)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(AGENT_TIMEOUT) == 130


def test_drain_waits_until_the_balancers_let_go_and_undrain_until_they_take_it_in(
    host: Host,
) -> None:
    host.instance(8101)
    host.instance(8102)
    with host.agents(balancers_obey):
        drained = host.run("instances", "drain", f"{CORE}@8101")
        assert host.sql("SELECT held, state FROM stellwerk.instances WHERE port = 8101") == [
            (True, "ready")
        ]
        back = host.run("instances", "undrain", f"{CORE}@8101.service")
    assert (drained.exit_code, back.exit_code) == (0, 0)
    assert drained.output.endswith(f"{CORE}@8101 is out of rotation at lb-1.\n")
    assert back.output.endswith(f"{CORE}@8101 is in rotation at lb-1.\n")
    assert "released: by anna on control" in host.run("instances", "log", CORE).output


def test_the_last_instance_in_rotation_is_drained_only_by_force(host: Host) -> None:
    host.instance(8101)
    host.instance(8102, "starting", "out")
    refused = host.run("instances", "drain", f"{CORE}@8101")
    assert refused.exit_code == 1
    assert "is the last instance" in refused.output
    assert host.sql("SELECT count(*) FROM stellwerk.instances WHERE held") == [(0,)]
    forced = host.run("instances", "drain", f"{CORE}@8101", "--force", "--no-wait")
    assert forced.exit_code == 0
    assert host.sql("SELECT port FROM stellwerk.instances WHERE held") == [(8101,)]


def test_a_balancer_that_never_lets_go_ends_the_wait_and_not_the_drain(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellwerk.instances.holding._MARGIN_SECONDS", -5)
    host.instance(8101)
    host.instance(8102)
    result = host.run("instances", "drain", f"{CORE}@8101")
    assert result.exit_code == 1
    assert "lb-1: up" in result.output
    assert "it goes on" in result.output
    assert host.sql("SELECT port FROM stellwerk.instances WHERE held") == [(8101,)]


def test_a_balancer_whose_agent_is_lost_is_not_waited_for(host: Host) -> None:
    host.instance(8101)
    host.instance(8102)
    host.sql("UPDATE stellwerk.agents SET seen_at = now() - interval '5 min' WHERE host = 'lb-1'")
    result = host.run("instances", "drain", f"{CORE}@8101")
    assert result.exit_code == 0
    assert "what lb-1 does is not known" in result.output


def test_an_instance_that_is_not_ready_is_let_back_without_waiting(host: Host) -> None:
    host.instance(8101, "failed", "out")
    host.sql("UPDATE stellwerk.instances SET held = true, reason = 'no answer'")
    result = host.run("instances", "undrain", f"{CORE}@8101")
    assert result.exit_code == 0
    assert "is failed (no answer): it comes into rotation once it is ready" in result.output


def test_a_service_without_balancer_has_nothing_to_be_drained_from(host: Host) -> None:
    host.sql(
        "INSERT INTO stellwerk.instances (service, port, host, address, generation)"
        " VALUES ('alone', 8501, 'app-1', '198.18.0.21', 'aa')"
    )
    result = host.run("instances", "drain", "alone@8501")
    assert (result.exit_code, "has no balancer" in result.output) == (1, True)


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1), ("running", 3)])
def test_the_exit_code_of_status_says_how_it_is(host: Host, state: str, code: int) -> None:
    host.instance(8101)
    assert host.run("rollout", "restart", CORE).exit_code == 0
    if state != "running":
        finish(state)(host.ledger)
    result = host.run("rollout", "status")
    assert result.exit_code == code
    assert f"{CORE}  {state}" in result.output
    (found,) = json.loads(host.run("rollout", "status", CORE, "--json").output)
    assert (found["state"], found["started_by"]) == (state, "anna on control")


def test_status_of_services_that_never_had_a_roll_out_is_good(host: Host) -> None:
    result = host.run("rollout", "status")
    assert (result.exit_code, result.output.count("no roll-out yet")) == (0, 2)


def test_a_restart_takes_its_figures_from_the_settings(host: Host) -> None:
    host.run("rollout", "restart", CORE)
    assert host.sql(
        "SELECT generation, restart, max_unavailable, canary_seconds, canary_error_percent"
        " FROM stellwerk.rollouts"
    ) == [(OLD, True, 1, 15, 5.0)]


def test_nothing_is_restarted_where_one_of_the_services_cannot_be(host: Host) -> None:
    host.run("rollout", "restart", CORE)
    result = host.run("rollout", "restart", "alone", CORE)
    assert result.exit_code == 1
    assert "a roll-out is running" in result.output
    assert host.sql("SELECT service FROM stellwerk.rollouts") == [(CORE,)]


def test_waiting_shows_the_end_and_exits_by_it(host: Host) -> None:
    host.instance(8101)
    with host.agents(finish("failed")):
        failed = host.run("rollout", "restart", CORE, "--wait")
    assert failed.exit_code == 1
    assert "  | boom\n" in failed.output
    with host.agents(finish("done")):
        assert host.run("rollout", "resume", CORE, "--wait").exit_code == 0
    assert host.run("rollout", "status", "--watch").exit_code == 0


def test_a_roll_out_that_another_replaces_is_not_waited_for(host: Host) -> None:
    def replace(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        connection.execute("UPDATE stellwerk.services SET rollout = rollout + 1 WHERE rollout = 1")

    with host.agents(replace):
        result = host.run("rollout", "restart", CORE, "--wait")
    assert result.exit_code == 1
    assert "another roll-out has begun in place of this one" in result.output


def test_undo_rolls_out_the_generation_from_before(host: Host) -> None:
    assert host.run("rollout", "undo", CORE, "--to", "9bc").exit_code == 0
    finish("done")(host.ledger)
    assert host.run("rollout", "undo", CORE).exit_code == 0
    assert host.sql("SELECT generation FROM stellwerk.rollouts ORDER BY id") == [(NEW,), (OLD,)]


def test_resume_of_what_has_not_failed_is_refused(host: Host) -> None:
    result = host.run("rollout", "resume", CORE)
    assert (result.exit_code, "no failed roll-out" in result.output) == (1, True)


def test_releases_are_listed_and_rolled_back(host: Host) -> None:
    host.instance(8101)
    listed = json.loads(host.run("releases", "list", CORE, "--json").output)
    assert [one["release"] for one in listed] == ["3.0", "2.0", "1.0"]
    assert listed[1]["instances"] == [f"{CORE}@8101"]
    assert "2.0" in host.run("releases", "list").output
    result = host.run("releases", "rollback", CORE)
    assert "back to release 1.0" in result.output
    assert host.sql("SELECT generation FROM stellwerk.services WHERE name = %s", CORE) == [
        ("1111111111111111",)
    ]


def test_a_host_that_may_only_read_says_who_may_change(host: Host) -> None:
    host.write_settings(host.socket, "app-1")
    host.grant("postgresql.agent")
    host.instance(8101)
    for words in (["instances"], ["instances", "log"], ["rollout", "status"], ["releases", "list"]):
        assert host.run(*words).exit_code == 0
    result = host.run("rollout", "restart", CORE)
    assert result.exit_code == 1
    assert result.output == (
        "app-1: may not change the ledger of instances; run this on db-1, or on the control"
        " machine\n"
    )


def test_without_the_right_to_read_credentials_it_asks_for_root(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> str:
        if path.parent.name == "credentials":
            raise PermissionError(13, "Permission denied", str(path))
        return path.read_bytes().decode()

    monkeypatch.setattr(Path, "read_text", refuse)
    result = host.run("instances")
    assert result.exit_code == 1
    assert "run this as root: sudo stellwerk" in result.output


def test_a_ledger_that_is_away_is_one_sentence(host: Host) -> None:
    host.write_settings("/nowhere")
    result = host.run("instances")
    assert result.exit_code == 1
    assert result.output.startswith("The ledger in PostgreSQL at /nowhere:5432 is away: ")
    assert result.output.count("\n") == 1


def test_waiting_outlives_a_ledger_that_is_away_for_a_while(host: Host) -> None:
    host.instance(8101)
    host.instance(8102)
    cut = threading.Event()

    def cut_off_then_obey(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        if not cut.is_set():
            held = connection.execute("SELECT 1 FROM stellwerk.instances WHERE held").fetchall()
            if held:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'stellwerk%%' AND datname = current_database()"
                )
                cut.set()
        else:
            balancers_obey(connection)

    with host.agents(cut_off_then_obey):
        result = host.run("instances", "drain", f"{CORE}@8101")
    assert result.exit_code == 0
    assert "Asking again since" in result.output


def test_on_neither_a_host_nor_in_an_inventorys_folder_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["instances"])
    assert result.exit_code == 2
    assert "give --inventory FILE, or run it on a host" in result.output
