"""Takes an instance out of rotation for an operator, or puts it back, and waits for balancers."""

import asyncio
import sys
from typing import Final

import click

from stellwerk.instances import rotation
from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import FAILED, RefusedError
from stellwerk.instances.looking import Shown, until_settled
from stellwerk.instances.model import InstanceKey, Snapshot
from stellwerk.settings.services import Service
from stellwerk.terminal.screen import Screen

_MARGIN_SECONDS: Final = 15
"""For balancers to hear of it and to say so, beside the time that requests may take."""
_ENTERING_SECONDS: Final = 60
"""For the balancers' own checks to pass, beside the margin."""


async def hold(access: Access, key: InstanceKey, *, held: bool, force: bool, wait: bool) -> int:
    """Hold an instance out of rotation, or let it back, over a ledger that is connected.

    Returns the exit code. Raises RefusedError where it would leave a service without instances, or
    where balancers take too long, and LedgerError.
    """
    service = access.service(key.service)
    if service.balancer is None:
        raise RefusedError(f"{key.service} has no balancer, and so no rotation to be taken out of")
    await _change(access, key, held=held, force=force)
    if not wait:
        return 0
    try:
        return await _wait(access, key, service, held=held)
    except asyncio.CancelledError:
        click.echo(f"It goes on; see: stellwerk instances {key.service}")
        raise


async def _change(access: Access, key: InstanceKey, *, held: bool, force: bool) -> None:
    async with access.ledger.locked(key.service) as transaction:
        instance = transaction.snapshot.instances.get(key)
        if instance is None:
            raise RefusedError(f"{key}: has been stopped meanwhile")
        if instance.held is held:
            click.echo(f"{key} is {'held out of rotation' if held else 'not held'} already.")
            return
        if held and not force and access.cluster(transaction.snapshot).last_one(instance):
            raise RefusedError(
                f"{key} is the last instance of {key.service} in rotation: without it no request is"
                " answered; wait until another one is up, or give --force"
            )
        await transaction.hold(key, held, access.operator)
    if held:
        click.echo(f"{key} on {instance.host} gets no new requests from now on, and keeps running.")
    else:
        click.echo(f"{key} on {instance.host} goes back into rotation.")


async def _wait(access: Access, key: InstanceKey, service: Service, *, held: bool) -> int:
    seconds = _MARGIN_SECONDS + (service.drain_timeout_seconds if held else _ENTERING_SECONDS)
    code = await until_settled(
        access.ledger,
        access.ledger.snapshot,
        lambda snapshot: _progress(access, snapshot, key, held=held),
        Screen(sys.stdout),
        seconds,
    )
    if code is None:
        raise RefusedError(
            f"{key}: not all balancers have said {'out' if held else 'up'} within {seconds} s;"
            f" it goes on, see: stellwerk instances {key.service}"
        )
    return code


def _progress(access: Access, snapshot: Snapshot, key: InstanceKey, *, held: bool) -> Shown:
    instance = snapshot.instances.get(key)
    if instance is None:
        return _last(f"{key} has been stopped meanwhile.", FAILED)
    if instance.held is not held:
        return _last(f"{key} has been {'let back' if held else 'held'} meanwhile.", FAILED)
    if not held and (reason := rotation.cannot_enter(instance)):
        return _last(f"{reason}.", 0)
    cluster = access.cluster(snapshot)
    waiting = rotation.unsettled(cluster, key, held=held)
    if waiting:
        line = "; ".join(f"{name}: {how}" for name, how in waiting.items())
        return Shown([line], line)
    asked = rotation.asked(cluster, key.service)
    where = f" at {', '.join(asked)}" if asked else ""
    sentence = f"{key} is {'out of' if held else 'in'} rotation{where}"
    if unknown := [name for name in cluster.serving(key.service) if name not in asked]:
        sentence += f"; what {', '.join(unknown)} does is not known, as its agent is lost"
    return _last(f"{sentence}.", 0)


def _last(line: str, code: int) -> Shown:
    return Shown([line], line, code)
