"""Passwords of PostgreSQL change under load: whatever starts can log in at any moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.editing import Editor
from tests.lab.edits import Edit
from tests.lab.edits_postgresql import ROLES
from tests.lab.platform import Platform
from tests.lab.test_edits import RATE, at_rest
from tests.lab.test_instances import explain
from tests.lab.traffic import Door, Traffic
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

APP, DATABASE = "app-1", "db-1"
CREDENTIALS = "/etc/stellwerk/credentials"
PROBE = "login-probe"
PROBE_SECONDS = 60.0
KILL_AT = ("PostgreSQL passwords that are new", "Base", "Agent")
ALL = Edit("all passwords", secrets=tuple(f"postgresql.passwords.{role}" for role in ROLES))

# As an instance does: a unit with the login in its environment and the password as a credential.
LOG_IN = f"""
systemd-run --quiet --wait --collect -p EnvironmentFile={CREDENTIALS}/postgresql.app.environment \
  -p LoadCredential=postgresql.password:{CREDENTIALS}/postgresql.app \
  /opt/stellwerk/current/bin/python3 -I -c '
import os, pathlib, psycopg
password = pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"], "postgresql.password").read_text()
psycopg.connect(host="198.18.0.41", dbname="aktienanalyse", user=os.environ["DATABASE_USER"],
                password=password).close()
'
"""
READ_LEDGER = "stellwerk instances --json >/dev/null"


@pytest.fixture(scope="module")
def editor(six: Platform) -> Editor:
    """The six hosts."""
    return Editor(six, lambda: at_rest(six))


@contextmanager
def tried(platform: Platform, host: str, command: str) -> Iterator[list[str]]:
    """The command again and again on a host; at the end how many times it failed, and why."""
    folder = f"/run/{PROBE}"
    loop = (
        f"until [ -e {folder}/stop ]; do ( {command} ) 2>>{folder}/said && echo >>{folder}/well"
        f" || echo failed >>{folder}/said; done"
    )
    platform.shell(host, f"rm -rf {folder}; mkdir {folder}")
    platform.lab.run(host, ["systemd-run", "--quiet", f"--unit={PROBE}", "bash", "-c", loop])
    found: list[str] = []
    try:
        yield found
        done = f"test $(wc -l <{folder}/well) -gt 1 && echo well"
        assert wait_until(lambda: platform.shell(host, done, check=False) == "well", PROBE_SECONDS)
    finally:
        platform.shell(host, f"touch {folder}/stop")
        state = f"systemctl is-active {PROBE}"
        wait_until(lambda: platform.shell(host, state, check=False) != "active", PROBE_SECONDS)
        found += platform.shell(host, f"cat {folder}/said").splitlines()


def data_door(platform: Platform) -> Door:
    """Requests that PostgreSQL answers, through HAProxy."""
    address = platform.lab.addresses["lb-1"]
    return Door("data", "aktienanalyse-core", f"http://{address}:9100", "/api/trades?limit=1")


def former_logins(platform: Platform) -> list[str]:
    """Logins beyond one for each role."""
    listed = platform.shell(
        DATABASE,
        "runuser -u postgres -- psql -XAtc"
        " \"SELECT rolname FROM pg_roles WHERE rolname ~ '_[0-9a-f]{3}$'\"",
    ).split()
    return listed[len(ROLES) :]


def test_runs_that_are_killed_while_all_passwords_change_lock_nobody_out(
    editor: Editor, tmp_path: Path
) -> None:
    platform = editor.platform
    with (
        tried(platform, APP, LOG_IN) as instances,
        tried(platform, DATABASE, READ_LEDGER) as operators,
        Traffic(platform, tmp_path, [data_door(platform)], RATE) as traffic,
    ):
        for operation in KILL_AT:
            editor.make(ALL)
            kill_at(editor, operation)
        platform.deploy()
    assert instances == []
    assert operators == []
    assert traffic.failures == {}, explain(platform)
    assert wait_until(lambda: at_rest(platform), PROBE_SECONDS), explain(platform)
    platform.deploy()  # withdraws what was used until then
    assert former_logins(platform) == []
    assert editor.run_again() == 0, editor.said


def kill_at(editor: Editor, operation: str) -> None:
    """Start a run and kill it when an operation of this name has begun."""
    run = editor.platform.start(*editor.arguments)
    assert run.stdout is not None
    reached = any(f"| {operation}" in line for line in run.stdout)
    run.kill()
    run.communicate()
    assert reached, operation


def test_a_limit_that_leaves_out_the_server_is_refused(editor: Editor) -> None:
    platform = editor.platform
    secrets = platform.folder / "secrets.yaml"
    kept = secrets.read_text()
    editor.make(ALL)
    refused = platform.run("-y", "--limit", APP, *editor.arguments)
    secrets.write_text(kept)
    assert refused.code != 0
    assert f"--limit leaves out {DATABASE}, which would refuse it" in refused.output
    assert editor.run_again() == 0, editor.said
