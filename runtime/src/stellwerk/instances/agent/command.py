"""The `stellwerk agent` command: hands over to the agent's own program."""

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
    # The same process with another program: that of a long-running agent without this command's
    # libraries, which would be 1.2 MB of its 40.
    program = [sys.executable, "-m", "stellwerk.instances.agent", str(configuration), str(state)]
    os.execv(sys.executable, program)  # noqa: S606
