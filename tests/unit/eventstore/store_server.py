"""A throw-away PostgreSQL with databases that hold event stores."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from stellwerk.eventstore.converging import converge
from stellwerk.eventstore.rights import Roles
from stellwerk.eventstore.session import Address, Session, open_session
from tests.unit.database.postgres_server import Binaries, Server, running

ROLES = Roles(app="app", monitor="monitor")
_CREATE_ROLES = "CREATE ROLE owner LOGIN; CREATE ROLE app LOGIN; CREATE ROLE monitor LOGIN;"
# As the deploy gives them.
_DEFAULT_PRIVILEGES = (
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;"
    "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT USAGE, SELECT ON SEQUENCES TO app;"
)


@dataclass(frozen=True)
class Site:
    """A database of a module's own on the server."""

    server: Server
    database: str

    @property
    def socket(self) -> str:
        """The folder of the server's socket."""
        return str(self.server.data.parent)


@contextmanager
def running_with_roles(binaries: Binaries) -> Iterator[Server]:
    """A server with the roles of an event store, for the time of the context."""
    with running(binaries) as server:
        (server.data / "pg_hba.conf").write_text("local all all trust\n")
        server.psql(f"SELECT pg_reload_conf(); {_CREATE_ROLES}")
        yield server


def make_database(server: Server, name: str) -> Site:
    """A database with nothing in it."""
    server.psql(f"CREATE DATABASE {name} OWNER owner;\n\\connect {name}\n{_DEFAULT_PRIVILEGES}")
    return Site(server, name)


def make_store(site: Site) -> None:
    """The event store in its schema public."""
    with session_of(site) as session:
        converge(session, ROLES)


def session_of(site: Site, schema: str = "public") -> AbstractContextManager[Session]:
    """A session of the owner in a schema."""
    return open_session(Address(site.socket, 5432, site.database, "owner", None, schema))


def connect(site: Site, role: str, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """A plain connection of a role."""
    return psycopg.connect(host=site.socket, dbname=site.database, user=role, **options)


async def connect_async(
    site: Site, role: str = "app", *, autocommit: bool = True
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """A connection as services have it."""
    return await psycopg.AsyncConnection.connect(
        host=site.socket, dbname=site.database, user=role, autocommit=autocommit
    )
