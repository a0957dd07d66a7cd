"""The `stellwerk releases` commands: what hosts have of a service, and back to an earlier one."""

import json
import sys

import click

from stellwerk.instances import rolling
from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import ClusterGroup, on_ledger
from stellwerk.instances.releases_view import document, kept, table
from stellwerk.instances.rolling import Request, declared
from stellwerk.instances.rollout_command import waiting, waits
from stellwerk.instances.targets import roll_back_target
from stellwerk.terminal.paint import paint_for
from stellwerk.terminal.screen import width


@click.group(cls=ClusterGroup)
def releases() -> None:
    """The releases of services that hosts have, and the way back to an earlier one."""


@releases.command("list")
@click.argument("service", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@on_ledger()
async def list_releases(access: Access, service: str | None, as_json: bool) -> int:
    """List releases, newest first, with the instances that run each.

    The same release with other settings is another generation, and a line of its own.
    """
    await access.ledger.connect()
    snapshot = await access.ledger.snapshot()
    names = [declared(snapshot, service).name] if service else sorted(snapshot.services)
    rows = kept(snapshot, await access.ledger.generations(service), names)
    if as_json:
        click.echo(json.dumps([document(row) for row in rows], indent=1))
    else:
        click.echo("\n".join(table(rows, snapshot.at, width(), paint_for(sys.stdout))))
    return 0


@releases.command()
@click.argument("service")
@click.argument("release", required=False)
@waiting
@on_ledger(changes=True)
async def rollback(access: Access, service: str, release: str | None, wait: bool | None) -> int:
    """Go back to an earlier release.

    To RELEASE, by its first letters, else to the newest one before the present. It is a roll-out
    like any other.
    """
    await access.ledger.connect()
    about = declared(await access.ledger.snapshot(), service)
    target = roll_back_target(about, await access.ledger.generations(service), release)
    if target.release:
        click.echo(f"{service}: back to release {target.release}.")
    return await rolling.roll(access, [Request(service, target.generation)], wait=waits(wait))
