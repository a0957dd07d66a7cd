"""The agent as a process: its configuration, D-Bus, signals and watchdog.

SIGTERM ends the agent only. Instances are systemd's, and run on.
"""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stellwerk import notify
from stellwerk.host.systemd import SystemdUnits
from stellwerk.instances.agent.app_host import AppHost, Paths
from stellwerk.instances.agent.daemon import Agent, BalancerPart
from stellwerk.instances.configuration import AgentConfiguration, ConfigurationError
from stellwerk.instances.model import Role
from stellwerk.instances.store import Ledger

CREDENTIAL: Final = "postgresql.agent"


class DBusLostError(Exception):
    """The connection to systemd is gone; a new process makes a new one."""


def password(environment: Mapping[str, str]) -> str | None:
    """The ledger's password from the unit's credentials; None where the unit has none. Raises
    ConfigurationError.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    path = Path(folder) / CREDENTIAL
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The credential {CREDENTIAL} cannot be read: {error}") from None


async def serve(configuration: AgentConfiguration, secret: str | None, state: Path) -> None:
    """Run until SIGTERM or SIGINT. Raises UnitError when systemd cannot be reached at first, and
    DBusLostError when it can no longer be.
    """
    stop, wake = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    apps = Role.APPS in configuration.roles
    patterns = [f"{name}@*.service" for name in configuration.services] if apps else []
    units = SystemdUnits(patterns, wake.set)
    ledger = Ledger(configuration.ledger, secret, "stellwerk-agent")
    app_host: AppHost | None = None
    try:
        await units.connect()
        if apps:
            app_host = AppHost(
                configuration, ledger, units, Paths(state), wake.set, await units.boot()
            )
        balancers = _balancers(configuration, state, units)
        agent = Agent(configuration, ledger, app_host, balancers, wake)
        await _until_one_ends(stop, agent, units)
    finally:
        notify.stopping()
        if app_host is not None:
            await app_host.close()
        await ledger.close()
        units.close()


def _balancers(
    configuration: AgentConfiguration, state: Path, units: SystemdUnits
) -> BalancerPart | None:
    if Role.BALANCERS not in configuration.roles:
        return None
    from stellwerk.instances.agent.balancer import Balancers  # only here, as memory is short

    return Balancers(configuration, state, units)


async def _until_one_ends(stop: asyncio.Event, agent: Agent, units: SystemdUnits) -> None:
    """Run the agent until it is told to stop, it breaks, or D-Bus is lost."""
    running = asyncio.ensure_future(agent.run())
    stopped = asyncio.ensure_future(stop.wait())
    lost = asyncio.ensure_future(units.closed())
    watched = asyncio.ensure_future(notify.keep_watchdog())
    tasks = (running, stopped, lost, watched)
    try:
        await asyncio.wait((running, stopped, lost), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if running in ended:
        running.result()
    if stopped not in ended:
        raise DBusLostError("The connection to systemd over D-Bus is lost; systemd starts me anew.")
