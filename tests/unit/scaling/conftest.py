"""A ledger on a real PostgreSQL, for what the scaler keeps there."""

from tests.unit.database.conftest import binaries
from tests.unit.instances.conftest import deployed, ledger_server, own_server, shop

__all__ = ["binaries", "deployed", "ledger_server", "own_server", "shop"]
