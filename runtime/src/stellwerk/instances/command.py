"""The `stellwerk instances` commands: the list, out of rotation and back, the log of events."""

import json
import sys

import click

from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import ClusterGroup, UnknownNameError, on_ledger
from stellwerk.instances.holding import hold
from stellwerk.instances.listing import Listing, document, listing
from stellwerk.instances.log import event_document, event_line
from stellwerk.instances.looking import Shown, until_settled
from stellwerk.instances.model import InstanceKey, Snapshot
from stellwerk.instances.rolling import declared
from stellwerk.instances.table import moved, table
from stellwerk.settings.errors import did_you_mean
from stellwerk.terminal.paint import paint_for
from stellwerk.terminal.screen import Screen, width


@click.group(cls=ClusterGroup, default="list")
def instances() -> None:
    """Every instance of the cluster, and whether it gets requests.

    `stellwerk instances [SERVICE]...` is short for `stellwerk instances list`.
    """


@instances.command("list")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--host", help="Only the instances of this host.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Keep it up to date until Ctrl-C.")
@on_ledger()
async def list_instances(
    access: Access, services: tuple[str, ...], host: str | None, as_json: bool, watch: bool
) -> int:
    """List instances: how each is, what it uses, where it gets requests."""
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other.")
    ledger = access.ledger
    await ledger.connect()

    async def look() -> Listing:
        snapshot = await ledger.snapshot()
        for name in services:
            declared(snapshot, name)
        _check_host(access, snapshot, host)
        samples = await ledger.latest_samples()
        return listing(access.cluster(snapshot), samples, services=services, host=host)

    paint = paint_for(sys.stdout)
    if watch:
        screen = Screen(sys.stdout)
        await until_settled(
            ledger, look, lambda found: Shown(table(found, width(), paint), moved(found)), screen
        )
    found = await look()
    lines = [json.dumps(document(found), indent=1)] if as_json else table(found, width(), paint)
    click.echo("\n".join(lines))
    return 0


@instances.command()
@click.argument("name", metavar="NAME@PORT")
@click.option("--force", is_flag=True, help="Even if no other instance of the service serves.")
@click.option("--wait/--no-wait", default=True, help="Wait until no request is left; the default.")
@on_ledger(changes=True)
async def drain(access: Access, name: str, force: bool, wait: bool) -> int:
    """Take an instance out of rotation, and leave it running.

    It gets no new requests and finishes those it has. It stays out over restarts and deploys until
    `stellwerk instances undrain`.
    """
    await access.ledger.connect()
    key = _named(await access.ledger.snapshot(), name)
    return await hold(access, key, held=True, force=force, wait=wait)


@instances.command()
@click.argument("name", metavar="NAME@PORT")
@click.option("--wait/--no-wait", default=True, help="Wait until it gets requests; the default.")
@on_ledger(changes=True)
async def undrain(access: Access, name: str, wait: bool) -> int:
    """Put an instance back into rotation."""
    await access.ledger.connect()
    key = _named(await access.ledger.snapshot(), name)
    return await hold(access, key, held=False, force=False, wait=wait)


@instances.command()
@click.argument("service", required=False)
@click.option("--lines", "limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@on_ledger()
async def log(access: Access, service: str | None, limit: int, as_json: bool) -> int:
    """What happened to instances, newest last."""
    await access.ledger.connect()
    if service is not None:
        declared(await access.ledger.snapshot(), service)
    events = sorted(await access.ledger.events(limit, service), key=lambda one: one.at)
    if as_json:
        click.echo(json.dumps([event_document(one) for one in events], indent=1))
        return 0
    for one in events:
        click.echo(event_line(one))
    if not events:
        click.echo("Nothing has happened yet.")
    return 0


def _check_host(access: Access, snapshot: Snapshot, host: str | None) -> None:
    known = [one.name for one in access.host.members]
    present = {one.host for one in snapshot.instances.values()}
    if host is not None and host not in {*known, *present}:
        raise UnknownNameError(f"{host}: unknown host{did_you_mean(host, known)}")


def _named(snapshot: Snapshot, name: str) -> InstanceKey:
    known = {str(key): key for key in snapshot.instances}
    key = known.get(name.removesuffix(".service"))
    if key is None:
        raise UnknownNameError(f"{name}: no such instance{did_you_mean(name, sorted(known))}")
    return key
