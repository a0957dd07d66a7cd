"""Starts roll-outs for an operator and shows how they go, over a ledger that is connected."""

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from stellwerk.instances.access import Access
from stellwerk.instances.cluster_command import FAILED, UnknownNameError
from stellwerk.instances.generation import short
from stellwerk.instances.looking import Shown, until_settled
from stellwerk.instances.model import RolloutState, Service, Snapshot
from stellwerk.instances.rollout_view import ServiceRollout, lines, moved, service_rollout
from stellwerk.settings.errors import did_you_mean
from stellwerk.terminal.paint import paint_for
from stellwerk.terminal.screen import Screen, width

RUNNING: Final = 3
"""Exit code of a status while something is rolled out."""


@dataclass(frozen=True)
class Request:
    """A roll-out that an operator wants."""

    service: str
    generation: str
    restart: bool = False

    def sentence(self) -> str:
        """What is begun."""
        what = "restart with generation" if self.restart else "roll-out of generation"
        return f"{self.service}: {what} {short(self.generation)} begun."


@dataclass(frozen=True)
class Rolling:
    """Services with their roll-outs at one moment."""

    at: datetime
    services: tuple[ServiceRollout, ...]

    @property
    def states(self) -> frozenset[str]:
        """All states there are."""
        return frozenset(one.state for one in self.services)

    @property
    def code(self) -> int:
        """The exit code that says how they are: 1 if one has failed, 3 if one runs, else 0."""
        if RolloutState.FAILED in self.states:
            return FAILED
        return RUNNING if RolloutState.RUNNING in self.states else 0

    def text(self) -> list[str]:
        """For a terminal."""
        paint, letters = paint_for(sys.stdout), width()
        blocks = [lines(one, self.at, letters, paint) for one in self.services]
        return [line for block in blocks for line in block]


async def look(access: Access, services: Collection[str] = ()) -> Rolling:
    """The roll-outs of these services, of all if none is named. Raises UnknownNameError."""
    snapshot = await access.ledger.snapshot()
    names = [declared(snapshot, name).name for name in services] or sorted(snapshot.services)
    releases = {
        (one.service, one.generation): one.release for one in await access.ledger.generations()
    }
    cluster = access.cluster(snapshot)
    found = (snapshot.services[name] for name in names)
    return Rolling(
        snapshot.at,
        tuple(
            service_rollout(cluster, one, releases.get((one.name, one.generation), ""))
            for one in found
        ),
    )


def declared(snapshot: Snapshot, name: str) -> Service:
    """A service of the ledger. Raises UnknownNameError naming the nearest."""
    if name not in snapshot.services:
        raise UnknownNameError(f"{name}: unknown service{did_you_mean(name, snapshot.services)}")
    return snapshot.services[name]


async def watch(access: Access, services: Collection[str] = ()) -> int:
    """Show roll-outs until none runs any more; the exit code."""
    return await _until(access, services, _until_none_runs)


async def roll(access: Access, requests: Sequence[Request], *, wait: bool) -> int:
    """Start these roll-outs as the settings say, and wait for their ends; the exit code.

    Raises SettingsError before any is started where one's service is in no settings.
    """
    figures = [access.service(one.service).rollout for one in requests]
    started = {}
    for one, rollout in zip(requests, figures, strict=True):
        started[one.service] = await access.ledger.start_rollout(
            one.service,
            one.generation,
            restart=one.restart,
            started_by=access.operator,
            max_unavailable=rollout.max_unavailable,
            canary_seconds=rollout.canary_seconds,
            canary_error_percent=rollout.canary_error_percent,
        )
        click.echo(one.sentence())
    if not wait:
        click.echo("The agents carry it out; see: stellwerk rollout status --watch")
        return 0
    try:
        return await _until(access, list(started), lambda found: _ended(found, started))
    except asyncio.CancelledError:
        click.echo("It goes on; see: stellwerk rollout status --watch")
        raise


def _ended(found: Rolling, started: Mapping[str, int]) -> Shown:
    replaced = [
        one.service.name
        for one in found.services
        if one.rollout is None or one.rollout.id != started[one.service.name]
    ]
    if replaced:
        sentence = f"{', '.join(replaced)}: another roll-out has begun in place of this one."
        return Shown([*found.text(), sentence], sentence, FAILED)
    return _until_none_runs(found)


def _until_none_runs(found: Rolling) -> Shown:
    code = None if RolloutState.RUNNING in found.states else found.code
    return Shown(found.text(), [moved(one) for one in found.services], code)


async def _until(
    access: Access, services: Collection[str], show: Callable[[Rolling], Shown]
) -> int:
    code = await until_settled(
        access.ledger, lambda: look(access, services), show, Screen(sys.stdout)
    )
    assert code is not None  # without a bound of time it ends by a code only
    return code
