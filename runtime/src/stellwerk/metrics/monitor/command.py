"""The `stellwerk monitor` command: hands over to the monitor's own program."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    default=Path("/etc/stellwerk/monitor.yaml"),
    show_default=True,
    help="What the deploy says of this host.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar="STATE_DIRECTORY",
    default=Path("/var/lib/stellwerk-monitor"),
    show_default=True,
    help="Folder for the history.",
)
def monitor(settings: Path, state: Path) -> None:
    """Measure this host at every interval, and answer at its port, until SIGTERM.

    Runs as stellwerk-monitor.service.
    """
    # The same process with another program: that of a long-running daemon without this command's
    # libraries.
    program = [sys.executable, "-m", "stellwerk.metrics.monitor", str(settings), str(state)]
    os.execv(sys.executable, program)  # noqa: S606
