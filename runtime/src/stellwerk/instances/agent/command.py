"""The `stellwerk agent` command. Heavy imports wait until it runs."""

import gc
import logging
import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--configuration",
    type=click.Path(path_type=Path),
    default=Path("/etc/stellwerk/agent.json"),
    show_default=True,
    help="What the deploy says of this host.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar="STATE_DIRECTORY",
    default=Path("/var/lib/stellwerk-agent"),
    show_default=True,
    help="Folder for what it remembers.",
)
def agent(configuration: Path, state: Path) -> None:
    """Bring this host's instances, or its balancers, to what the ledger says, until SIGTERM.

    Runs as stellwerk-agent.service. Instances run on when it ends.
    """
    # asyncio would load OpenSSL a second time, beside libpq's: 4 MB for nothing, as the agent's
    # own TLS is libpq's. Not where it is loaded already.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    import asyncio

    from stellwerk.instances.agent.process import DBusLostError, password, serve
    from stellwerk.instances.agent.units import UnitError
    from stellwerk.instances.configuration import ConfigurationError, read

    gc.freeze()  # what is imported stays: no need to look at it again and again
    try:
        asyncio.run(serve(read(configuration), password(os.environ), state))
    except (ConfigurationError, UnitError, DBusLostError) as error:
        raise click.ClickException(str(error)) from None
