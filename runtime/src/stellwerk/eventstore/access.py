"""How the commands on the host in `databases` get into the event store as its owner."""

import os
from pathlib import Path
from typing import Final

from stellwerk.database.logins import login_of
from stellwerk.eventstore.errors import EventStoreError
from stellwerk.eventstore.rights import Roles
from stellwerk.eventstore.session import Address
from stellwerk.settings import Settings

SOCKET: Final = "/run/postgresql"
_FOLDER: Final = Path("/etc/stellwerk/credentials")
_CREDENTIAL: Final = "postgresql.owner"


def owner_address(settings: Settings) -> Address:
    """The owner's way in by the server's socket.

    The password is the credential of this unit, or root's own. Raises EventStoreError without one.
    """
    postgresql = settings.postgresql
    password = _password()
    return Address(
        host=SOCKET,
        port=postgresql.port,
        database=postgresql.database,
        user=login_of(postgresql.roles.owner, password),
        password=password,
        schema=settings.database.event_store_schema,
        timezone=settings.base.timezone,
    )


def roles(settings: Settings) -> Roles:
    """The roles that get rights in the event store."""
    names = settings.postgresql.roles
    return Roles(app=names.app, monitor=names.monitor)


def _password() -> str:
    file = Path(os.environ.get("CREDENTIALS_DIRECTORY", _FOLDER)) / _CREDENTIAL
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise EventStoreError(
            f"{file} cannot be read ({error.strerror}): run this as root on the host in databases."
        ) from None
