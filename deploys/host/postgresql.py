"""The local PostgreSQL: its state in one query, statements, and which settings are not in force."""

import json
import time
from pathlib import Path
from typing import Any

from . import units
from .command import Failure, run, run_or_fail

CLUSTERS = Path("/etc/postgresql")


def clusters() -> list[str]:
    """Versions with a cluster named main, as `15`."""
    return sorted(path.parent.name for path in CLUSTERS.glob("*/main"))


def psql(sql: str) -> str:
    """Run SQL as the database's superuser; it is read from standard input, so `ps` shows none.

    Raises:
        Failure: the server's own words.
    """
    result = run(
        ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"],
        stdin=sql,
        timeout=120,
    )
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if "ERROR" in line or "FATAL" in line]
        reason = (said or result.stderr.strip().splitlines() or ["no answer"])[0]
        raise Failure(f"PostgreSQL refused: {reason.strip()}")
    return result.stdout


def state(script: str) -> dict[str, Any]:
    """What the server says of itself; empty where none runs."""
    if not clusters():
        return {}
    try:
        return dict(json.loads(psql(script)))
    except (Failure, ValueError) as error:
        return {"error": str(error)}


def execute(document: dict[str, Any]) -> None:
    """Run the given psql script; its first error ends it."""
    psql(document["script"])


def activate(unit: str, may_restart: bool) -> int:
    """Bring a running server to its files, restarted if that is needed and allowed.

    Raises:
        Failure: it cannot read them.
    """
    if not units.is_active(unit):
        return 0
    faults = [f"{name}: {why}" for name, why in psql_rows(_FAULTS)]
    if faults:
        raise Failure("PostgreSQL cannot read its files", "\n".join(faults))
    run_or_fail(["systemctl", "reload", unit])
    # The postmaster takes the files in on a signal, so the reload is over before it has.
    deadline = time.monotonic() + RELOAD_SECONDS
    while psql_rows(_NOT_YET_READ) and time.monotonic() < deadline:
        time.sleep(0.05)
    if may_restart and psql_rows(_PENDING):
        units.activate(unit, "restart")
    return 0


def restart(document: dict[str, Any]) -> None:
    """Restart the server where a setting waits for it.

    Raises:
        Failure: it did not come back, or cannot read its files.
    """
    activate(document["unit"], may_restart=True)


def check(check: dict[str, Any]) -> str:
    """Every setting of the drop-in is in force, but for those that wait for a restart."""
    rows = psql_rows(_NOT_IN_FORCE.format(file=check["file"].replace("'", "''")))
    wrong = [f"{name} ({why})" for name, why in rows]
    return f"PostgreSQL settings not in force: {', '.join(wrong)}" if wrong else ""


def psql_rows(sql: str) -> list[tuple[str, str]]:
    """Rows of two columns; a server that does not answer is one row that says so."""
    try:
        answer = psql(sql)
    except Failure as error:
        return [("postgresql", str(error))]
    pairs = (line.split("|", 1) for line in answer.splitlines() if "|" in line)
    return [(pair[0], pair[1]) for pair in pairs]


RELOAD_SECONDS = 5

# A changed setting that needs a restart is an error here, but not one of the files.
_FAULTS = """
SELECT coalesce(name, sourcefile || ' line ' || sourceline), error FROM pg_file_settings
 WHERE error IS NOT NULL AND error <> 'setting could not be applied'
    OR error = 'setting could not be applied'
       AND name NOT IN (SELECT name FROM pg_settings WHERE context = 'postmaster')
UNION ALL
SELECT 'pg_hba.conf line ' || line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL
"""

_NOT_YET_READ = """
SELECT f.name, 'old' FROM pg_file_settings f JOIN pg_settings s ON s.name = lower(f.name)
 WHERE f.applied AND s.sourcefile IS DISTINCT FROM f.sourcefile
   AND s.source = 'configuration file'
"""

_PENDING = "SELECT name, 'waits for a restart' FROM pg_settings WHERE pending_restart"

_NOT_IN_FORCE = """
SELECT f.name, coalesce(f.error, 'overridden by ' || coalesce(s.sourcefile, s.source))
  FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = lower(f.name)
 WHERE f.sourcefile = '{file}' AND NOT coalesce(s.pending_restart, false)
   AND (f.error IS NOT NULL OR s.sourcefile IS DISTINCT FROM f.sourcefile)
"""
