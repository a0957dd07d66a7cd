"""A real PostgreSQL in the place of db-1's, and agents that have always done what it says."""

import json
from collections.abc import Iterable
from typing import Any

from stellwerk.database.quoting import quote_literal
from stellwerk.database.state import state_script
from stellwerk.instances.documents import SNAPSHOT_QUERY
from tests.unit.database.postgres_server import Server

from .fake_hosts import Sent

NAME = "aktienanalyse"
PORT_BASES = {  # of group_data/services.py
    "aktienanalyse-core": 8100,
    "aktienanalyse-broker": 8200,
    "aktienanalyse-events": 8300,
    "aktienanalyse-frontend": 8400,
}


class Database:
    """The server and the product's database on it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def obey(self, sent: Iterable[Sent]) -> None:
        """Run what a deploy sent to the host's PostgreSQL."""
        for one in sent:
            if one.tool == "postgresql":
                self._server.psql(json.loads(one.stdin)["script"])

    def facts(self) -> dict[str, Any]:
        """What a host would report of it."""
        return dict(json.loads(self._server.psql(state_script(NAME))))

    def ledger(self) -> str:
        """The ledger as the host answers a query for it."""
        return self._run(f"{SNAPSHOT_QUERY};").strip()

    def let_agents_work(self) -> None:
        """Every declared instance is ready, and every roll-out done."""
        bases = ", ".join(f"({quote_literal(name)}, {base})" for name, base in PORT_BASES.items())
        self._run(f"""
            DELETE FROM stellwerk.instances;
            INSERT INTO stellwerk.instances
                (service, port, host, address, generation, rollout, state)
            SELECT service, row_number() OVER (PARTITION BY service) + base, host, '192.0.2.1',
                   generation, rollout, 'ready'
              FROM stellwerk.desired JOIN stellwerk.services ON services.name = service
              JOIN (VALUES {bases}) AS bases (name, base) ON bases.name = service,
                   generate_series(1, instances);
            UPDATE stellwerk.rollouts SET state = 'done' WHERE state <> 'replaced';
            UPDATE stellwerk.services SET stable = generation;
        """)

    def pins(self, host: str) -> dict[str, str]:
        """What agents have pinned on a host."""
        rows = self._run(
            "SELECT service || '@' || port, generation FROM stellwerk.instances"
            f" WHERE host = {quote_literal(host)};"
        )
        return dict(row.split("|") for row in rows.split())

    def want(self, service: str, host: str, instances: int) -> None:
        """What the scaler would do, with agents that follow."""
        self._run(
            f"UPDATE stellwerk.desired SET instances = {instances}"
            f" WHERE service = {quote_literal(service)} AND host = {quote_literal(host)};"
        )
        self.let_agents_work()

    def roll(self, service: str, state: str, reason: str = "", journal: str = "") -> None:
        """Have the service's roll-out in a state."""
        self._run(
            f"UPDATE stellwerk.rollouts SET state = {quote_literal(state)},"
            f" reason = {quote_literal(reason)}, journal = {quote_literal(journal)}"
            f" WHERE service = {quote_literal(service)};"
        )

    def _run(self, script: str) -> str:
        return self._server.psql(f"\\connect {NAME}\n{script}")
