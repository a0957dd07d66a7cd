"""The commands behind `make plan` and `make drift`. Imported only when pyinfra_cli has been."""

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pyinfra
from pyinfra.api.output import set_echo, set_formatter
from pyinfra_cli.cli import cli as pyinfra_command  # type: ignore[import-untyped]

from deploys.engine.run import current_run
from deploys.seeing.assembly import assembled
from deploys.seeing.model import Plan
from deploys.seeing.text import drift_text, plan_text
from stellwerk.terminal.paint import Paint, paint_for

IN_STEP, UNKNOWN, DRIFTED = 0, 1, 2
FILES = ("deploys/all.py", "deploys/seeing/look.py")

Options = Callable[..., None]


@click.group()
def main() -> None:
    """See what a run would change, and what is not as declared. Nothing is changed."""


def _options(command: Options) -> Options:
    decorators = (
        click.argument("inventory", default="inventory", type=click.Path(path_type=Path)),
        click.option("--limit", multiple=True, help="Only this host or group; may be repeated."),
        click.option("--json", "file", type=click.Path(path_type=Path), help="Write JSON here."),
        click.option("--data", multiple=True, help="A setting, as key=value."),
        click.option("--group-data", multiple=True, help="A further folder of settings."),
        click.option("-v", "--verbose", is_flag=True, help="Show how the hosts are read."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@main.command()
@_options
def plan(inventory: Path, file: Path | None, verbose: bool, **chosen: Sequence[str]) -> None:
    """Show per host what a run would change, and which units it would reload, restart or roll."""
    found = _prepared(inventory, verbose, chosen)
    _show(found, plan_text, file)


@main.command()
@_options
def drift(inventory: Path, file: Path | None, verbose: bool, **chosen: Sequence[str]) -> None:
    """Exit 0 where the hosts are as declared, 2 where not, 1 where that cannot be told."""
    found = _prepared(inventory, verbose, chosen)
    _show(found, drift_text, file)
    if not found.in_step:
        raise SystemExit(DRIFTED)
    raise SystemExit(UNKNOWN if found.unknown else IN_STEP)


def _prepared(inventory: Path, verbose: bool, chosen: dict[str, Sequence[str]]) -> Plan:
    """Have pyinfra prepare a run, and carry out nothing of it."""
    pyinfra.is_cli = True
    set_formatter(click.style)
    set_echo(click.echo)
    sys.path.append(".")
    words = ["--dry", "--json"]
    for name, values in chosen.items():
        for value in values:
            words += [f"--{name.replace('_', '-')}", value]
    pyinfra.logger.addFilter(lambda record: verbose or record.levelno > logging.INFO)
    try:
        # pyinfra's own account of a dry run is of no use beside ours.
        with contextlib.redirect_stdout(io.StringIO()):
            pyinfra_command.main(
                [*words, str(inventory), *FILES], prog_name="pyinfra", standalone_mode=False
            )
    except click.ClickException as error:
        error.show()
        raise SystemExit(UNKNOWN) from None
    except SystemExit as ended:
        if ended.code:
            raise SystemExit(UNKNOWN) from None
    return assembled(current_run())


def _show(found: Plan, text: Callable[[Plan, Paint], list[str]], file: Path | None) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found.document(), indent=1) + "\n")
    click.echo("\n".join(text(found, paint_for(sys.stdout))).lstrip("\n"))
