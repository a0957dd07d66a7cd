"""`stellwerk database` on a host, from its settings file and the owner's credential."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from stellwerk.database import local_server
from stellwerk.database.command import database
from stellwerk.database.logins import login_of
from stellwerk.eventstore import access
from stellwerk.settings import Settings
from stellwerk.settings.files import settings_document
from tests.unit.database.postgres_server import Server

from .store_server import make_database

PASSWORD = "an-owner's-password"
VIEW = "mv_portfolio_performance_summary"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command on a host with these settings."""
    settings = Settings.model_validate(
        {
            "postgresql": {
                "database": "of_the_command",
                "roles": {"owner": "owner", "app": "app", "monitor": "monitor"},
            },
            "database": {"views": {VIEW: {"refresh_interval_seconds": 300}}},
        }
    )
    document = {
        "host": "db-1",
        "members": {"db-1": {"address": "192.0.2.1", "groups": ["databases"]}},
        "settings": settings_document(settings),
    }
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(document))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(database, [*arguments, "--settings", str(file)])

    return run


@pytest.fixture
def owner(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The owner's way in: a login that acts as it, and its password as a credential."""
    login = login_of("owner", PASSWORD)
    (tmp_path / "postgresql.owner").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(access, "SOCKET", str(server.data.parent))
    server.psql(f"CREATE ROLE {login} LOGIN IN ROLE owner; ALTER ROLE {login} SET role = 'owner'")
    make_database(server, "of_the_command")
    yield
    server.psql("DROP DATABASE of_the_command WITH (FORCE);")
    server.psql(f"DROP ROLE {login}")


@pytest.mark.programs
@pytest.mark.usefixtures("owner")
def test_the_schema_comes_to_this_release_once_and_views_when_they_are_due(run: Run) -> None:
    first = run("schema")
    assert (first.exit_code, first.stdout.splitlines()[0]) == (
        0,
        "Migrated to version 1 (event_store).",
    )
    assert run("schema").stdout == "The event store is as it should be: nothing to do.\n"
    assert run("refresh").stdout.startswith(f"{VIEW} refreshed in ")
    assert run("refresh").stdout == ""
    assert run("refresh", VIEW).stdout.startswith(f"{VIEW} refreshed in ")
    unknown = run("refresh", "another")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "no view of database.views" in unknown.stderr


@pytest.mark.programs
def test_the_review_asks_the_server_of_the_settings(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "ask", lambda script, _port: server.psql(script))
    done = run("tune", "--explain")
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "The next deploy writes: " in done.stdout


def test_without_settings_or_a_credential_it_says_where_to_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    done = run("schema")
    assert (done.exit_code, "run this as root on the host in databases" in done.stderr) == (1, True)
    (tmp_path / "settings.yaml").unlink()
    done = run("tune")
    assert (done.exit_code, "cannot be read" in done.stderr) == (2, True)


def test_a_host_without_postgresql_is_told_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = run("tune")
    assert (done.exit_code, "is not on this host" in done.stderr) == (1, True)
