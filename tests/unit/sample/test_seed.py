"""The generated data on a real PostgreSQL; skipped where none is installed."""

from collections.abc import Iterator

import pytest

from stellwerk.endpoint import Endpoint
from stellwerk.sample.configuration import DatabaseAddress
from stellwerk.sample.dataset import Amounts
from stellwerk.sample.seed import ensure_data
from tests.unit.database.postgres_server import Server, find_binaries, running

FEW = Amounts(users=2, assets=5, portfolios=3, trades_per_portfolio=4)


pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with running(binaries) as server:
        yield server


@pytest.fixture
def address(server: Server) -> Iterator[DatabaseAddress]:
    """A database of the test's own."""
    server.psql("CREATE DATABASE empty;")
    yield DatabaseAddress(Endpoint(str(server.data.parent), 5432), "empty", "postgres")
    server.psql("DROP DATABASE empty;")


def test_the_data_has_the_amounts_asked_for_and_grows_with_them(address: DatabaseAddress) -> None:
    said = ensure_data(address, 1, [], FEW)
    assert said.endswith("2 users, 5 assets, 3 portfolios, 12 trades.")
    assert ensure_data(address, 1, [], FEW).endswith("is complete: nothing to do.")
    more = ensure_data(address, 1, [], Amounts(3, 5, 3, 4))
    assert more.endswith("3 users, 5 assets, 3 portfolios, 12 trades.")


def test_portfolios_may_have_no_trades(address: DatabaseAddress) -> None:
    said = ensure_data(address, 1, [], Amounts(1, 1, 1, trades_per_portfolio=0))
    assert said.endswith("1 users, 1 assets, 1 portfolios, 0 trades.")
