"""A ledger on a real PostgreSQL; its tests skip where none is installed."""

from collections.abc import Iterator

import pytest

from tests.unit.database.conftest import binaries
from tests.unit.database.postgres_server import Binaries, running
from tests.unit.instances.ledger_server import LedgerServer

__all__ = ["binaries", "deployed", "ledger_server", "own_server", "shop"]


@pytest.fixture(scope="session")
def deployed(binaries: Binaries) -> Iterator[LedgerServer]:
    """One server with a ledger for all tests."""
    with running(binaries) as server:
        found = LedgerServer(server)
        found.deploy()
        yield found


@pytest.fixture
def ledger_server(deployed: LedgerServer) -> LedgerServer:
    """The server with an empty ledger."""
    deployed.empty()
    return deployed


@pytest.fixture
def shop(ledger_server: LedgerServer) -> LedgerServer:
    """A ledger in which the service shop is declared."""
    ledger_server.declare("shop")
    return ledger_server


@pytest.fixture
def own_server(binaries: Binaries) -> Iterator[LedgerServer]:
    """A server that a test may stop."""
    with running(binaries) as server:
        found = LedgerServer(server)
        found.deploy()
        found.declare("shop")
        yield found
