"""The edits of PostgreSQL: a reload where that is enough, a restart where the settings allow it."""

from dataclasses import dataclass

from tests.lab.edits import Edit, InForce
from tests.lab.edits_services import AGENTS, ALL, NGINX, monitors

ROLES = ("owner", "app", "monitor", "ledger", "agent")
_PSQL = "runuser -u postgres -- psql -XAtqc"


@dataclass(frozen=True)
class Server:
    """Where PostgreSQL runs, and the unit it is."""

    host: str
    unit: str

    @property
    def units(self) -> frozenset[str]:
        return frozenset({f"{self.host} {self.unit}"})

    def shows(self, sql: str, output: str) -> tuple[InForce, ...]:
        """What its administrator reads."""
        return (InForce((self.host,), f'{_PSQL} "{sql}"', output),)

    def reloads(self) -> tuple[Edit, ...]:
        """What it takes while it runs, and what it keeps until it is restarted."""
        return (
            Edit(
                "PostgreSQL: a setting that reloads",
                {"postgresql.max_wal_size": "3GB"},
                self.shows("SHOW max_wal_size", "3GB"),
                reloads=self.units,
            ),
            Edit(
                "PostgreSQL: a parameter of one's own",
                {"postgresql.parameters": '{"log_min_duration_statement": "750ms"}'},
                self.shows("SHOW log_min_duration_statement", "750ms"),
                reloads=self.units,
            ),
            Edit(
                "PostgreSQL: a line of pg_hba.conf",
                {"postgresql.hba_extra": '["host all reports 198.18.0.99/32 scram-sha-256"]'},
                self.shows(
                    "SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{reports}'", "1"
                ),
                reloads=self.units,
            ),
            Edit(
                "PostgreSQL: a setting that takes a restart",
                {"postgresql.max_connections": "120"},
                self.shows("SHOW max_connections", "100"),
                reloads=self.units,
                says="PostgreSQL waits for a restart to apply max_connections",
            ),
        )

    def restart(self) -> tuple[Edit, ...]:
        """What it then takes."""
        return (
            Edit(
                "PostgreSQL: the same with `allow_restart`",
                {"postgresql.allow_restart": "true"},
                self.shows("SHOW max_connections", "120"),
                reloads=self.units,
                restarts=self.units,
            ),
        )


DEBIAN_13 = Server("db-1", "postgresql@17-main.service")
DEBIAN_12 = Server("solo", "postgresql@15-main.service")
PASSWORDS = (
    Edit(
        "PostgreSQL: the passwords of all roles",
        secrets=tuple(f"postgresql.passwords.{role}" for role in ROLES),
        # One login for each: those of before are gone.
        in_force=DEBIAN_13.shows(
            "SELECT count(*) FROM pg_roles WHERE rolname ~ '_[0-9a-f]{3}$'", "5"
        ),
        restarts=AGENTS | monitors("db-1"),
        reloads=NGINX,
        rolls=ALL,
    ),
)
