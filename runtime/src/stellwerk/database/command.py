"""The `stellwerk database` commands, for the host in `databases`. Imports wait until one runs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from stellwerk.settings.errors import SettingsError

FAILED: Final = 1
UNUSABLE: Final = 2
SETTINGS: Final = Path("/etc/stellwerk/settings.yaml")


_settings = click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=SETTINGS, hidden=True
)


@click.group()
def database() -> None:
    """PostgreSQL on this host: its settings, the event store and its views."""


@database.command()
@click.option("--explain", is_flag=True, help="With the reason and the source of each value.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_settings
def tune(explain: bool, as_json: bool, path: Path) -> None:
    """What is recommended for this host, beside what is written, in force, and next.

    Changes nothing: a deploy does. Exits 1 where PostgreSQL does not answer, 2 where the settings
    are wrong.
    """
    from stellwerk.database.local_server import LocalServerError
    from stellwerk.database.review import ReviewError, document, warnings
    from stellwerk.database.review_text import review_text
    from stellwerk.database.reviewing import reviewed
    from stellwerk.database.tuning import TuningError
    from stellwerk.settings.files import read_host_file
    from stellwerk.terminal.paint import paint_for

    with _told(LocalServerError, ReviewError, unusable=(SettingsError, TuningError)):
        found = reviewed(read_host_file(path))
    said = [*warnings(found.rows, found.drop_in), *found.remarks]
    if as_json:
        tuning = found.tuning
        click.echo(
            json.dumps(
                {
                    "settings": [document(row) for row in found.rows],
                    "worst_case_bytes": tuning.worst_case_bytes,
                    "limit_bytes": tuning.limit_bytes,
                    "ram_bytes": tuning.ram_bytes,
                    "warnings": said,
                },
                indent=1,
            )
        )
        return
    paint = paint_for(sys.stdout)
    click.echo("\n".join(review_text(found.rows, found.tuning, said, explain=explain, paint=paint)))


@database.command()
@click.option("--tables", is_flag=True, help="Tables and rights only: indexes may take long.")
@_settings
def schema(tables: bool, path: Path) -> None:
    """Bring the event store's tables, rights and indexes to this release.

    Nobody who reads or writes waits for it. Exits 1 where it could not be done, 2 where the
    settings are wrong.
    """
    from stellwerk.eventstore.access import owner_address, roles
    from stellwerk.eventstore.converging import converge
    from stellwerk.eventstore.errors import EventStoreError
    from stellwerk.eventstore.session import open_session
    from stellwerk.settings.files import read_settings

    with _told(EventStoreError):
        settings = read_settings(path)
        with open_session(owner_address(settings)) as session:
            done = converge(session, roles(settings), indexes=not tables)
    click.echo("\n".join(done) or "The event store is as it should be: nothing to do.")


@database.command()
@click.argument("views", nargs=-1, metavar="[VIEW]...")
@_settings
def refresh(views: tuple[str, ...], path: Path) -> None:
    """Refresh the given views, by default those of the settings whose interval has passed.

    Readers see the rows of before until it is done. Exits 1 where one could not be refreshed in its
    time, 2 where the settings are wrong.
    """
    from stellwerk.eventstore.access import owner_address
    from stellwerk.eventstore.errors import EventStoreError
    from stellwerk.eventstore.refreshing import refresh_views
    from stellwerk.eventstore.session import open_session
    from stellwerk.eventstore.views import Outcome
    from stellwerk.settings.files import read_settings

    with _told(EventStoreError):
        settings = read_settings(path)
        with open_session(owner_address(settings)) as session:
            done = refresh_views(session, settings.database.views, views)
    for one in done:
        click.echo(str(one))
    raise SystemExit(FAILED if any(one.outcome is Outcome.FAILED for one in done) else 0)


@contextmanager
def _told(
    *failed: type[Exception], unusable: tuple[type[Exception], ...] = (SettingsError,)
) -> Iterator[None]:
    """End the command with the sentence of an error, and the exit status it stands for."""
    try:
        yield
    except unusable as error:
        click.echo(str(error), err=True)
        raise SystemExit(UNUSABLE) from None
    except failed as error:
        click.echo(str(error), err=True)
        raise SystemExit(FAILED) from None
