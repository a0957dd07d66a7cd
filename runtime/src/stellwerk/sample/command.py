"""The `stellwerk sample` commands. Heavy imports wait until a command runs."""

import logging
import os
import signal
import sys
from types import FrameType

import click


@click.group()
def sample() -> None:
    """The bundled sample service and its data."""


@sample.command()
def serve() -> None:
    """Serve one instance, configured by its environment, until SIGTERM."""
    # Until the event loop takes the signals over, they end the process cleanly.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    _log_to_journal()
    import asyncio

    from stellwerk.sample.configuration import ConfigurationError, read_service
    from stellwerk.sample.service import ListenError
    from stellwerk.sample.service import serve as serve_instance

    try:
        asyncio.run(serve_instance(read_service(os.environ)))
    except (ConfigurationError, ListenError) as error:
        raise click.ClickException(str(error)) from None


@sample.command()
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Which data: the same number makes the same rows.",
)
@click.option("--grant-to", "roles", multiple=True, metavar="ROLE", help="Let ROLE read the data.")
@click.option("--check", is_flag=True, help="Change nothing; exit 0 if complete, 1 if not.")
def seed(seed: int, roles: tuple[str, ...], check: bool) -> None:
    """Fill the schema `sample` of the database with generated data, once.

    Connects as the owner named by DATABASE_HOST, DATABASE_PORT, DATABASE_NAME and DATABASE_USER.
    Other sample data in the schema is replaced. Exits 2 on errors.
    """
    from stellwerk.sample.configuration import ConfigurationError, read_database
    from stellwerk.sample.seed import SeedError, ensure_data, missing

    try:
        address = read_database(os.environ)
        if check:
            lacking = missing(address, seed, roles)
            click.echo(lacking or f"The data of seed {seed} is complete.")
            sys.exit(1 if lacking else 0)
        click.echo(ensure_data(address, seed, roles))
    except (ConfigurationError, SeedError) as error:
        raise _CannotTellError(str(error)) from None


class _CannotTellError(click.ClickException):
    """Unlike exit 1, which says that the data is not complete."""

    exit_code = 2


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(0)


def _log_to_journal() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
