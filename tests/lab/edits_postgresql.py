"""The edits of PostgreSQL: a reload where that is enough, a restart where the settings allow it."""

from tests.lab.edits import Edit, InForce
from tests.lab.edits_services import AGENTS, ALL, NGINX

DATABASES = ("db-1",)
ROLES = ("owner", "app", "monitor", "ledger", "agent")
SERVER = frozenset({"db-1 postgresql@17-main.service"})
_PSQL = "runuser -u postgres -- psql -XAtqc"


def shows(sql: str, output: str) -> tuple[InForce, ...]:
    return (InForce(DATABASES, f'{_PSQL} "{sql}"', output),)


RELOADS = (
    Edit(
        "PostgreSQL: a setting that reloads",
        {"postgresql.max_wal_size": "3GB"},
        shows("SHOW max_wal_size", "3GB"),
        reloads=SERVER,
    ),
    Edit(
        "PostgreSQL: a parameter of one's own",
        {"postgresql.parameters": '{"log_min_duration_statement": "750ms"}'},
        shows("SHOW log_min_duration_statement", "750ms"),
        reloads=SERVER,
    ),
    Edit(
        "PostgreSQL: a line of pg_hba.conf",
        {"postgresql.hba_extra": '["host all reports 198.18.0.99/32 scram-sha-256"]'},
        shows("SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{reports}'", "1"),
        reloads=SERVER,
    ),
    Edit(
        "PostgreSQL: a setting that takes a restart",
        {"postgresql.max_connections": "120"},
        shows("SHOW max_connections", "100"),
        reloads=SERVER,
        says="PostgreSQL waits for a restart to apply max_connections",
    ),
)
RESTART = (
    Edit(
        "PostgreSQL: the same with `allow_restart`",
        {"postgresql.allow_restart": "true"},
        shows("SHOW max_connections", "120"),
        reloads=SERVER,
        restarts=SERVER,
    ),
)
PASSWORDS = (
    Edit(
        "PostgreSQL: the passwords of all roles",
        secrets=tuple(f"postgresql.passwords.{role}" for role in ROLES),
        # One login for each: those of before are gone.
        in_force=shows("SELECT count(*) FROM pg_roles WHERE rolname ~ '_[0-9a-f]{3}$'", "5"),
        restarts=AGENTS,
        reloads=NGINX,
        rolls=ALL,
    ),
)
