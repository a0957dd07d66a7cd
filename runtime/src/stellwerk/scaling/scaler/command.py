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
def scaler(settings: Path) -> None:
    """Judge all services and write how many instances each is to have, until SIGTERM.

    Runs as stellwerk-scaler.service. Of several scalers one leads.
    """
    from stellwerk.scaling.scaler.process import main

    main(settings)
