"""The `stellwerk audit` command: on a host its own record, on the control machine all hosts'."""

import json
import socket
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from stellwerk.audit.model import Run, document, merged, parse, read_runs
from stellwerk.audit.text import runs_text
from stellwerk.instances import access
from stellwerk.remote import RemoteError, ask_hosts, load
from stellwerk.settings.errors import SettingsError
from stellwerk.terminal.paint import paint_for

RECORD: Final = Path("/var/log/stellwerk/runs.jsonl")
LOCK: Final = Path("/run/stellwerk-run.lock")
FAILED: Final = 1
UNUSABLE: Final = 2


@click.command()
@click.option("--host", "hosts", multiple=True, help="Only this host; may be given repeatedly.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--inventory",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="On the control machine: the cluster's inventory, by default the file `inventory` in the"
    " working folder.",
)
def audit(hosts: tuple[str, ...], count: int, as_json: bool, inventory: Path | None) -> None:
    """The last runs that changed something: who, when, what, and how they ended.

    On a host those that changed it; on the control machine those of the whole cluster. Exits 1
    where a host could not be asked.
    """
    silent: Sequence[str] = ()
    try:
        if inventory is not None or not access.is_host():
            runs, silent = _of_cluster(inventory or Path("inventory"), hosts, count)
        elif hosts:
            raise click.UsageError("--host is for the control machine: this is a host.")
        else:
            runs = _of_this_host()
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(UNUSABLE) from None
    except PermissionError:
        click.echo(f"{RECORD} is for root only: use sudo.", err=True)
        raise SystemExit(FAILED) from None
    except (OSError, RemoteError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(FAILED) from None
    shown = runs[-count:]
    if as_json:
        click.echo(json.dumps([document(one) for one in shown], indent=1))
    else:
        click.echo("\n".join(runs_text(shown, paint_for(sys.stdout))))
    for sentence in silent:
        click.echo(sentence, err=True)
    raise SystemExit(FAILED if silent else 0)


def _of_this_host() -> Sequence[Run]:
    lines: list[str] = []
    for path in (RECORD.with_name(f"{RECORD.name}.1"), RECORD):
        try:
            lines += path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            continue
    return read_runs(lines, socket.gethostname(), running=_running())


def _running() -> str:
    """The run that says it holds the lock; whether it lives is not looked at."""
    try:
        return str(json.loads(LOCK.read_text()).get("run", ""))
    except (OSError, ValueError):
        return ""


def _of_cluster(
    inventory: Path, names: Iterable[str], count: int
) -> tuple[Sequence[Run], Sequence[str]]:
    """The runs of all hosts, and a sentence for each host that did not answer."""
    cluster = load(inventory)
    chosen = [cluster.host(name) for name in names] or list(cluster.hosts.values())
    records: list[Run] = []
    silent: list[str] = []
    for host, answer in ask_hosts(chosen, ["audit", "--json", "-n", str(count)]).items():
        try:
            records += [_named(parse(one), host) for one in json.loads(answer.output)]
        except (KeyError, TypeError, ValueError):
            silent.append(f"{host}: {answer.sentence}")
    return merged(records), silent


def _named(run: Run, host: str) -> Run:
    """The run with the host's name in the inventory, whatever it calls itself."""
    steps = tuple(replace(step, host=host) for step in run.steps)
    return replace(run, users={host: next(iter(run.users.values()), "")}, steps=steps)
