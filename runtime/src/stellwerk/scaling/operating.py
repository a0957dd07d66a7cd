"""The `stellwerk scaling` commands that look at the cluster's scaler and tell it what to do."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta

import click

from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import RefusedError, UnknownNameError, on_ledger
from stellwerk.instances.looking import Shown, until_settled
from stellwerk.scaling.duration import duration_option
from stellwerk.scaling.ledger import ScalingLedger
from stellwerk.scaling.status import Status, decision_document, status_document
from stellwerk.scaling.status import status as status_of
from stellwerk.scaling.status_view import decision_line, explanation, moment, moved, table
from stellwerk.terminal.paint import paint_for
from stellwerk.terminal.screen import Screen, width


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Keep it up to date until Ctrl-C.")
@on_ledger()
async def status(access: Access, services: tuple[str, ...], as_json: bool, watch: bool) -> int:
    """How many instances each service has and is to have, and what its number follows."""
    if as_json and watch:
        raise click.UsageError("--json and --watch exclude each other.")
    await access.ledger.connect()

    async def look() -> Status:
        return await _status(access, services)

    paint = paint_for(sys.stdout)
    if watch:
        await until_settled(
            access.ledger,
            look,
            lambda found: Shown(table(found, width(), paint), moved(found)),
            Screen(sys.stdout),
        )
    found = await look()
    lines = (
        [json.dumps(status_document(found), indent=1)] if as_json else table(found, width(), paint)
    )
    click.echo("\n".join(lines))
    return 0


@click.command()
@click.argument("service", required=False)
@click.option("--lines", "limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--all", "every", is_flag=True, help="Also judgements that changed nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@on_ledger()
async def history(
    access: Access, service: str | None, limit: int, every: bool, as_json: bool
) -> int:
    """What was decided and why, newest last."""
    await access.ledger.connect()
    if service is not None:
        _check(access, [service])
    ledger = ScalingLedger(access.ledger.connection)
    rows = await ledger.decisions(limit, service, only_changes=not every)
    if as_json:
        click.echo(json.dumps([decision_document(one) for one in rows], indent=1))
        return 0
    screen = Screen(sys.stdout)
    for one in rows:
        click.echo("\n".join(screen.wrapped(decision_line(one), indent="  ")))
    if not rows:
        click.echo("Nothing has been changed yet." if not every else "Nothing has been judged yet.")
    return 0


@click.command()
@click.argument("service")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@on_ledger()
async def explain(access: Access, service: str, as_json: bool) -> int:
    """Why SERVICE has the number it has: every rule, what it saw, and what holds it back."""
    await access.ledger.connect()
    shown = await _status(access, [service])
    if not shown.services:
        raise UnknownNameError(f"{service}: is not in the ledger yet; run the deploy")
    if as_json:
        click.echo(json.dumps(status_document(shown)["services"][0], indent=1))
        return 0
    for line in explanation(shown.services[0], width(), paint_for(sys.stdout)):
        click.echo(line)
    return 0


@click.command("set")
@click.argument("service")
@click.argument("instances", type=click.IntRange(1))
@click.option(
    "--for",
    "duration",
    callback=duration_option,
    required=True,
    metavar="TIME",
    help='How long, such as "30m" or "2h"; then the rules decide again.',
)
@on_ledger(changes=True)
async def set_instances(access: Access, service: str, instances: int, duration: timedelta) -> int:
    """Have INSTANCES of SERVICE for a while, whatever its rules say."""
    _check_scaled(access, [service])
    most = access.host.settings.most_instances(service)
    if instances > most:
        raise RefusedError(f"{service}: may have {most} instances at most, also in an emergency")
    await access.ledger.connect()
    ledger = ScalingLedger(access.ledger.connection)
    until = await ledger.order(service, instances, duration, access.operator)
    assert until is not None
    click.echo(f"{service}: set to {instances} until {moment(until)}.")
    await _warn_without_leader(ledger)
    return 0


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option(
    "--for",
    "duration",
    callback=duration_option,
    metavar="TIME",
    help="How long; without it until `resume`.",
)
@on_ledger(changes=True)
async def pause(access: Access, services: tuple[str, ...], duration: timedelta | None) -> int:
    """Leave the number of SERVICE, or of all services, as it is, on the hosts where it is."""
    _check_scaled(access, services)
    await access.ledger.connect()
    ledger = ScalingLedger(access.ledger.connection)
    for name in services or await _all_scaled(access):
        until = await ledger.order(name, None, duration, access.operator)
        click.echo(f"{name}: paused{f' until {moment(until)}' if until else ''}.")
    return 0


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@on_ledger(changes=True)
async def resume(access: Access, services: tuple[str, ...]) -> int:
    """End what `pause` or `set` ordered for SERVICE, or for all: the rules decide again."""
    _check(access, services)
    await access.ledger.connect()
    ledger = ScalingLedger(access.ledger.connection)
    names = services or [one.service for one in await ledger.orders()]
    for name in names:
        ended = await ledger.take_back(name, access.operator)
        click.echo(f"{name}: {'its rules decide again' if ended else 'has no order to end'}.")
    if not names:
        click.echo("There is no order to end.")
    await _warn_without_leader(ledger)
    return 0


COMMANDS = (status, history, explain, set_instances, pause, resume)


async def _status(access: Access, only: Sequence[str]) -> Status:
    _check(access, only)
    ledger = ScalingLedger(access.ledger.connection)
    services = access.host.settings.scaling.services.values()
    period = max((one.evaluation_period_seconds for one in services), default=60)
    return status_of(
        access.host,
        await ledger.findings(period),
        await ledger.scalers(),
        await ledger.latest(),
        await ledger.last_changes(),
        only,
    )


def _check(access: Access, services: Sequence[str]) -> None:
    for name in services:
        access.service(name)


def _check_scaled(access: Access, services: Sequence[str]) -> None:
    _check(access, services)
    scaled = access.host.settings.scaling.services
    for name in services:
        if name not in scaled or not scaled[name].enabled:
            raise RefusedError(
                f"{name}: the settings leave its number alone (scaling.services.{name})"
            )


async def _all_scaled(access: Access) -> Sequence[str]:
    known = (await access.ledger.snapshot()).services
    scaled = access.host.settings.scaling.services
    return [name for name in sorted(known) if name in scaled and scaled[name].enabled]


async def _warn_without_leader(ledger: ScalingLedger) -> None:
    if not any(one.leads for one in await ledger.scalers()):
        click.echo("No scaler leads now; it is followed as soon as one does.", err=True)
