"""The `stellwerk rollout` commands: how roll-outs stand, restart, resume, undo."""

import json
import sys

import click

from stellwerk.instances import rolling
from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import ClusterGroup, on_ledger
from stellwerk.instances.rolling import Request, declared
from stellwerk.instances.rollout_view import document
from stellwerk.instances.rollouts import current
from stellwerk.instances.targets import restart_target, resume_target, undo_target

waiting = click.option(
    "--wait/--no-wait",
    default=None,
    help="Show how it goes until it ends; the default on a terminal.",
)
"""The option of commands that begin a roll-out."""


def waits(wait: bool | None) -> bool:
    """What the option `waiting` comes to."""
    return sys.stdout.isatty() if wait is None else wait


@click.group(cls=ClusterGroup)
def rollout() -> None:
    """How services get new code and settings: instance by instance, one first for a trial."""


@rollout.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Keep it up to date until nothing is rolled out.")
@on_ledger()
async def status(access: Access, services: tuple[str, ...], as_json: bool, watch: bool) -> int:
    """How roll-outs stand and what they wait for.

    Exits 0 if all are done, 1 if one has failed, 3 while one is running.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other.")
    await access.ledger.connect()
    if watch:
        return await rolling.watch(access, services)
    found = await rolling.look(access, services)
    if as_json:
        click.echo(json.dumps([document(one) for one in found.services], indent=1))
    else:
        click.echo("\n".join(found.text() or ["No service is declared yet."]))
    return found.code


@rollout.command()
@click.argument("services", nargs=-1, required=True, metavar="SERVICE...")
@waiting
@on_ledger(changes=True)
async def restart(access: Access, services: tuple[str, ...], wait: bool | None) -> int:
    """Restart services, instance by instance, without failed requests."""
    await access.ledger.connect()
    snapshot = await access.ledger.snapshot()
    requests = [
        Request(name, restart_target(declared(snapshot, name), current(snapshot, name)), True)
        for name in dict.fromkeys(services)
    ]
    return await rolling.roll(access, requests, wait=waits(wait))


@rollout.command()
@click.argument("service")
@waiting
@on_ledger(changes=True)
async def resume(access: Access, service: str, wait: bool | None) -> int:
    """Go on with a roll-out that failed.

    It rolls out the same generation, with a trial of its own.
    """
    await access.ledger.connect()
    snapshot = await access.ledger.snapshot()
    failed = current(snapshot, service)
    generation = resume_target(declared(snapshot, service), failed)
    request = Request(service, generation, restart=failed is not None and failed.restart)
    return await rolling.roll(access, [request], wait=waits(wait))


@rollout.command()
@click.argument("service")
@click.option("--to", metavar="GENERATION", help="To this one, by its first digits.")
@waiting
@on_ledger(changes=True)
async def undo(access: Access, service: str, to: str | None, wait: bool | None) -> int:
    """Go back to the generation from before.

    The present roll-out may be running, failed or done. A restart that is not done is stopped.
    """
    await access.ledger.connect()
    snapshot = await access.ledger.snapshot()
    about = declared(snapshot, service)
    known = await access.ledger.generations(service)
    generation = undo_target(about, current(snapshot, service), known, to)
    return await rolling.roll(access, [Request(service, generation)], wait=waits(wait))
