"""The `stellwerk scaler` command: the daemon's program."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    default=Path("/etc/stellwerk/settings.yaml"),
    show_default=True,
    help="What the deploy says of this host and its cluster.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar="STATE_DIRECTORY",
    default=Path("/var/lib/stellwerk-scaler"),
    show_default=True,
    help="Folder for messages that wait for their receivers.",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    envvar="RUNTIME_DIRECTORY",
    default=Path("/run/stellwerk-scaler"),
    show_default=True,
    help="Folder for what the monitor of this host reads.",
)
def scaler(settings: Path, state: Path, runtime: Path) -> None:
    """Judge all services and write how many instances each is to have, until SIGTERM.

    Runs as stellwerk-scaler.service. Of several scalers one leads.
    """
    from stellwerk.scaling.scaler.process import main

    main(settings, state, runtime)
