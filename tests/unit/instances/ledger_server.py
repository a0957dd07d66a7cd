"""A ledger in a throw-away PostgreSQL, with the roles and rights a deploy gives it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from stellwerk.database.databases import Database, database_statements
from stellwerk.database.roles import Role, role_statements
from stellwerk.database.state import ServerState, parse_state, state_script
from stellwerk.database.statement import Statement, psql_script
from stellwerk.instances.configuration import LedgerAddress
from stellwerk.instances.grants import LedgerRoles, grant_statements
from stellwerk.instances.migrations import migration_statements
from stellwerk.instances.model import Instance, InstanceKey, State
from stellwerk.instances.store import Ledger
from tests.unit.database.postgres_server import Server

DATABASE: Final = "product"
PASSWORD: Final = "password"
AGENT: Final = "stellwerk_agent"
LEDGER: Final = "stellwerk_ledger"
APP: Final = "stellwerk_app"
OWNER: Final = "stellwerk_owner"
OLD: Final = "1" * 16
NEW: Final = "2" * 16
NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY: Final = InstanceKey("shop", 8101)
INSTANCE: Final = Instance(KEY, "app-1", "192.0.2.21", OLD, 0, State.STARTING, NOW)
ROLES: Final = LedgerRoles(AGENT, LEDGER, frozenset({APP, OWNER}))


@dataclass(frozen=True)
class LedgerServer:
    """A PostgreSQL in whose database `product` the ledger is."""

    server: Server

    def address(self, role: str) -> LedgerAddress:
        """Where a role finds the ledger; its password is PASSWORD."""
        return LedgerAddress(str(self.server.data.parent), 5432, DATABASE, role)

    def psql(self, script: str, *, role: str = "postgres") -> str:
        """What psql prints in the ledger's database; the first error raises AssertionError."""
        settings = f"\\set ON_ERROR_STOP on\n\\connect {DATABASE}\n"
        return self.server.psql(settings + script, role=role, password=PASSWORD)

    def ledger(self, role: str = AGENT) -> Ledger:
        """A ledger to connect to."""
        return Ledger(self.address(role), PASSWORD, "test")

    @asynccontextmanager
    async def connected(self, role: str = AGENT) -> AsyncIterator[Ledger]:
        """A connected ledger."""
        ledger = self.ledger(role)
        await ledger.connect()
        try:
            yield ledger
        finally:
            await ledger.close()

    def state(self) -> ServerState:
        """What a deploy reads of the server."""
        return parse_state(self.server.psql(state_script(DATABASE)))

    def plan(self) -> tuple[Statement, ...]:
        """What a deploy would change."""
        state = self.state()
        ledger = state.ledger_of(DATABASE)
        wanted = Database(
            DATABASE,
            owner=OWNER,
            writers=frozenset({APP}),
            connect=frozenset({AGENT, LEDGER}),
            schemas={"stellwerk": "postgres"},
        )
        return (
            *role_statements(
                tuple(Role(name, PASSWORD) for name in (OWNER, APP, AGENT, LEDGER)), state.roles
            ),
            *database_statements(
                wanted, state.databases.get(DATABASE), state.contents_of(DATABASE)
            ),
            *migration_statements(ledger.version, DATABASE),
            *grant_statements(ROLES, ledger.privileges, DATABASE),
        )

    def deploy(self) -> None:
        """Bring the server to what a deploy wants."""
        self.server.psql(psql_script(self.plan()))

    def empty(self) -> None:
        """Take every row out of the ledger."""
        self.psql(
            "TRUNCATE stellwerk.services, stellwerk.agents, stellwerk.samples, stellwerk.events,"
            " stellwerk.scaling_decisions, stellwerk.scaling_loads, stellwerk.scaling_samples"
            " RESTART IDENTITY CASCADE"
        )

    def declare(self, *services: str, generation: str = OLD) -> None:
        """Put services with one generation there, as the deploy does."""
        for service in services:
            self.psql(
                f"INSERT INTO stellwerk.services (name, generation)"
                f" VALUES ('{service}', '{generation}');"
                f"INSERT INTO stellwerk.generations (service, generation, release)"
                f" VALUES ('{service}', '{generation}', '1.0')"
            )


async def claim(ledger: Ledger, *ports: int) -> None:
    """Put instances of the shop into the ledger."""
    async with ledger.locked("shop") as changes:
        for port in ports:
            assert await changes.claim(replace(INSTANCE, key=InstanceKey("shop", port)))
