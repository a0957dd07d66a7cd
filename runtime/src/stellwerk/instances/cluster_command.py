"""Commands about the whole cluster: on one of its hosts they ask the ledger, on the control machine
they run themselves on such a host. Options, errors and exit codes that all of them share.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec

import click

from stellwerk.instances import access
from stellwerk.instances.access import Access, AccessError
from stellwerk.instances.errors import LedgerError
from stellwerk.instances.generation import GenerationError
from stellwerk.instances.targets import NoTargetError
from stellwerk.remote import RemoteError, run_on_cluster
from stellwerk.settings.errors import SettingsError
from stellwerk.settings.files import HostFile

FAILED: Final = 1
"""Exit code where what was asked could not be done."""
UNUSABLE: Final = 2
"""Exit code where the settings or what was asked are wrong."""
_INTERRUPTED: Final = 130
_INVENTORY: Final = "--inventory"
_ASKED: Final = f"{__name__}.asked"

P = ParamSpec("P")


class RefusedError(Exception):
    """What was asked is not done, and why, in one sentence."""


class UnknownNameError(Exception):
    """Something that was named does not exist; the message is one sentence."""


class ClusterGroup(click.Group):
    """A group that takes --inventory at any place, and keeps the words to run elsewhere.

    + default: the command that is meant where none is named
    """

    def __init__(self, *args: Any, default: str | None = None, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._default = default
        self.params.append(_inventory_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out --inventory, and put in the default command."""
        inventory, words = _inventory_of(ctx, args)
        known = {*self.commands, *ctx.help_option_names}
        if self._default and (not words or words[0] not in known):
            words = [self._default, *words]
        ctx.meta[_ASKED] = (inventory, [str(ctx.info_name), *words])
        return super().parse_args(ctx, words)


class ClusterCommand(click.Command):
    """A command without others below it that takes --inventory, as `ClusterGroup` does."""

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.params.append(_inventory_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out --inventory."""
        inventory, words = _inventory_of(ctx, args)
        ctx.meta[_ASKED] = (inventory, [str(ctx.info_name), *words])
        return super().parse_args(ctx, words)


def on_ledger(
    *, changes: bool = False
) -> Callable[[Callable[Concatenate[Access, P], Coroutine[Any, Any, int]]], Callable[P, None]]:
    """Make a click command of a coroutine that gets the open ledger and returns the exit code.

    + changes: whether it has to change the ledger, which only some hosts may
    """

    def decorate(
        command: Callable[Concatenate[Access, P], Coroutine[Any, Any, int]],
    ) -> Callable[P, None]:
        @wraps(command)
        def run(*args: P.args, **options: P.kwargs) -> None:
            def here() -> int:
                opened = access.opened(changes=changes)
                return asyncio.run(_closing(opened, command(opened, *args, **options)))

            _here_or_there(here)

        return run

    return decorate


def on_host(
    command: Callable[Concatenate[HostFile, P], Coroutine[Any, Any, int]],
) -> Callable[P, None]:
    """Make a click command of a coroutine that gets what the host knows of the cluster and returns
    the exit code.
    """

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        _here_or_there(lambda: asyncio.run(command(access.host_file(), *args, **options)))

    return run


def _here_or_there(here: Callable[[], int]) -> None:
    """Do it on this host or, on the control machine, run the same words on one of the cluster's."""
    inventory, words = click.get_current_context().meta[_ASKED]
    try:
        if inventory is not None or not access.is_host():
            code = run_on_cluster(inventory or Path("inventory"), words)
        else:
            code = here()
    except (SettingsError, UnknownNameError, GenerationError) as error:
        _end(str(error), UNUSABLE)
    except (LedgerError, AccessError, RemoteError, RefusedError, NoTargetError) as error:
        _end(str(error), FAILED)
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    raise SystemExit(code)


async def _closing(opened: Access, command: Coroutine[Any, Any, int]) -> int:
    try:
        return await command
    finally:
        await opened.ledger.close()


def _end(sentence: str, code: int) -> None:
    click.echo(sentence, err=True)
    raise SystemExit(code) from None


def _inventory_option() -> click.Option:
    return click.Option(
        [_INVENTORY],
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        help="On the control machine: the cluster's inventory, by default the file `inventory` in"
        " the working folder. The command then runs on one of its hosts.",
    )


def _inventory_of(ctx: click.Context, args: list[str]) -> tuple[Path | None, list[str]]:
    inventory: Path | None = None
    words: list[str] = []
    left = iter(args)
    for word in left:
        if word == "--":
            words += [word, *left]
        elif word == _INVENTORY:
            value = next(left, None)
            if value is None:
                raise click.BadOptionUsage(_INVENTORY, f"{_INVENTORY} needs a FILE.", ctx)
            inventory = Path(value)
        elif word.startswith(f"{_INVENTORY}="):
            inventory = Path(word.partition("=")[2])
        else:
            words.append(word)
    return inventory, words
