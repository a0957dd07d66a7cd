"""The `stellwerk database` commands, for the host in `databases`. Imports wait until one runs."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from stellwerk.settings.errors import SettingsError

FAILED: Final = 1
UNUSABLE: Final = 2
SETTINGS: Final = Path("/etc/stellwerk/settings.yaml")


@click.group()
def database() -> None:
    """PostgreSQL on this host: its settings, the event store and its views."""


@database.command()
@click.option("--explain", is_flag=True, help="With the reason and the source of each value.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--settings", "path", type=click.Path(path_type=Path), default=SETTINGS, hidden=True)
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

    try:
        found = reviewed(read_host_file(path))
    except (SettingsError, TuningError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(UNUSABLE) from None
    except (LocalServerError, ReviewError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(FAILED) from None
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
