"""Fixtures for tests that ask a real PostgreSQL; they skip where none is installed."""

from collections.abc import Iterator

import pytest

from tests.unit.database.postgres_server import Binaries, Server, find_binaries, running


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The installed PostgreSQL."""
    found = find_binaries()
    if found is None:
        pytest.skip("no PostgreSQL server is installed here")
    return found


@pytest.fixture(scope="session")
def server(binaries: Binaries) -> Iterator[Server]:
    """One running server for all tests; each test uses names of its own."""
    with running(binaries) as started:
        yield started
