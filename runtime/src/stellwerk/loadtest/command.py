"""The `stellwerk loadtest` commands. Heavy imports wait until a command runs."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stellwerk.settings.errors import SettingsError

if TYPE_CHECKING:
    from stellwerk.loadtest.source import Project

BAD_INPUT = 2
"""Exit code where the run cannot be made as asked, or its report not be written."""


class _BadInputError(click.ClickException):
    exit_code = BAD_INPUT


@click.group()
def loadtest() -> None:
    """Load tests with a verdict against the baselines."""


def _with_project(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where scenarios and hosts come from."""

    @click.option(
        "--scenarios",
        type=click.Path(path_type=Path),
        metavar="FILE.yaml",
        help="Scenarios and baselines from this file instead of the settings.",
    )
    @click.option(
        "--inventory",
        type=click.Path(path_type=Path),
        default=Path("inventory"),
        show_default=True,
        help="The cluster: its hosts and, beside it, its settings.",
    )
    @click.option(
        "--group-data",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Folder of settings files; the one beside the inventory by default.",
    )
    @wraps(command)
    def run(
        scenarios: Path | None, inventory: Path, group_data: tuple[Path, ...], **rest: Any
    ) -> None:
        from stellwerk.loadtest.source import Project

        try:
            command(Project(scenarios, inventory, group_data), **rest)
        except SettingsError as error:
            click.echo(str(error), err=True)
            raise SystemExit(BAD_INPUT) from None

    return run


@loadtest.command()
@click.option("--yaml", "as_yaml", is_flag=True, help="All of it, as a file for --scenarios.")
@_with_project
def scenarios(project: "Project", as_yaml: bool) -> None:
    """List the scenarios."""
    definitions = project.definitions
    if as_yaml:
        click.echo(definitions.document(), nl=False)
        return
    for name, scenario in definitions.loadtest.scenarios.items():
        click.echo(
            f"{name:20} {scenario.requests_per_second:g} requests/s of mix {scenario.mix},"
            f" {scenario.virtual_users} users, {scenario.duration_seconds} s with"
            f" {scenario.ramp_up_seconds} s of ramp-up"
        )


@loadtest.command()
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Which data: the same number makes the same rows.",
)
@click.option("--grant-to", "roles", multiple=True, metavar="ROLE", help="Let ROLE read the data.")
@_with_project
def seed(project: "Project", seed: int, roles: tuple[str, ...]) -> None:
    """Fill the database with test data, once: as much as the settings say in loadtest.data.

    Connects as the owner named by DATABASE_HOST, DATABASE_PORT, DATABASE_NAME and DATABASE_USER;
    the password comes from PGPASSWORD or ~/.pgpass.
    """
    import os

    from stellwerk.sample.configuration import ConfigurationError, read_database
    from stellwerk.sample.dataset import Amounts
    from stellwerk.sample.seed import SeedError, ensure_data

    amounts = Amounts(**project.definitions.loadtest.data.model_dump())
    try:
        click.echo(ensure_data(read_database(os.environ), seed, roles, amounts))
    except (ConfigurationError, SeedError) as error:
        raise _BadInputError(str(error)) from None


@loadtest.command()
@click.argument("scenario")
@click.option("--url", required=True, help="Where the service is, as http://HOST:PORT.")
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Shortens duration and ramp-up; the rate stays.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Generator processes; by default as many as the rate needs.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which requests are drawn."
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Certificate of the authority that signed the server's.",
)
@click.option(
    "--headers",
    type=click.Path(path_type=Path),
    help='File of headers for every request, in lines "Name: value".',
)
@click.option(
    "--watch-hosts",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Hosts or groups whose CPU and memory are watched over SSH, and have to answer. By"
    " default all of the inventory, as far as they answer.",
)
@click.option("--no-watch-hosts", is_flag=True, help="Watch no host over SSH.")
@click.option("--watch-local", is_flag=True, help="Watch this machine's CPU and memory.")
@click.option("--watch", multiple=True, metavar="URL", help="Watch what a /health answer says.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of earlier runs to compare with; this run is added.",
)
@click.option(
    "--json", type=click.Path(path_type=Path), metavar="FILE", help="Write all figures as JSON."
)
@click.option(
    "--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the checks for CI."
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with plots."
)
@_with_project
def run(project: "Project", **options: Any) -> None:
    """Run SCENARIO against a service and judge it.

    Exits 0 if all is as asked, 1 if not, 3 if the load generator fell behind, so that nothing can
    be said, and 2 if the run or a report could not be made. Ctrl-C ends the run with the verdict so
    far.
    """
    from stellwerk.loadtest.session import InputError, Options, run_session

    try:
        code = run_session(project, Options(**options))
    except InputError as error:
        raise _BadInputError(str(error)) from None
    raise SystemExit(code)
