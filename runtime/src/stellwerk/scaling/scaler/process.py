"""The scaler as a process: settings, credential, signals and watchdog.

SIGTERM ends the scaler only: what it has wanted stays wanted, and another scaler leads.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stellwerk import notify
from stellwerk.database.logins import login_of
from stellwerk.instances.access import AccessError, ledger_address
from stellwerk.instances.connection import Connection, open_connection
from stellwerk.scaling.ledger import APPLICATION
from stellwerk.scaling.scaler.daemon import Scaler
from stellwerk.scaling.scaler.figures import FIGURES, Figures
from stellwerk.scaling.scaler.notices import Journal
from stellwerk.scaling.scaler.settings_file import SettingsFile
from stellwerk.scaling.scaler.source import HealthAnswers
from stellwerk.scaling.scaler.telling import People
from stellwerk.settings.errors import SettingsError

CREDENTIAL: Final = "postgresql.ledger"


def main(settings: Path, state: Path, runtime: Path) -> None:
    """Run until SIGTERM; what prevents that is said in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(SettingsFile(settings), password(os.environ), state, runtime))
    except (SettingsError, AccessError) as error:
        sys.exit(f"Error: {error}")


def password(environment: Mapping[str, str]) -> str:
    """The ledger's password from the unit's credentials. Raises AccessError."""
    path = Path(environment.get("CREDENTIALS_DIRECTORY", "")) / CREDENTIAL
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        raise AccessError(f"The credential {CREDENTIAL} cannot be read: {error}") from None


async def serve(settings: SettingsFile, secret: str, state: Path, runtime: Path) -> None:
    """Run until SIGTERM or SIGINT; `state` is the scaler's own folder, and `runtime` the one that
    the host's monitor reads. Raises AccessError where the cluster has no ledger.
    """

    async def connect() -> Connection:
        host = settings()
        login = login_of(host.settings.postgresql.roles.ledger, secret)
        return await open_connection(
            ledger_address(host, login), secret, f"{APPLICATION} {host.name}", lambda _reason: None
        )

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    people = People(settings, state)
    scaler = Scaler(
        settings, connect, HealthAnswers(), [Journal(), people], Figures(runtime / FIGURES)
    )
    working = [asyncio.ensure_future(one) for one in (scaler.run(), people.run())]
    stopped = asyncio.ensure_future(stop.wait())
    watched = asyncio.ensure_future(notify.keep_watchdog())
    tasks = (*working, stopped, watched)
    try:
        await asyncio.wait((*working, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        notify.stopping()
        ended = [task for task in working if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()
