"""A PostgreSQL with an event store in it; skipped where none is installed."""

from collections.abc import Iterator

import pytest

from stellwerk.eventstore.session import Session
from tests.unit.database.postgres_server import Server, find_binaries

from .store_server import Site, make_database, make_store, running_with_roles, session_of


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server with the roles, one for all modules."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with running_with_roles(binaries) as server:
        yield server


@pytest.fixture(scope="module")
def bare(server: Server, request: pytest.FixtureRequest) -> Site:
    """A database of the module's own."""
    return make_database(server, request.module.__name__.rpartition(".")[2])


@pytest.fixture(scope="module")
def site(bare: Site) -> Site:
    """A database with an event store."""
    make_store(bare)
    return bare


@pytest.fixture
def session(site: Site) -> Iterator[Session]:
    """A session of the owner."""
    with session_of(site) as opened:
        yield opened
