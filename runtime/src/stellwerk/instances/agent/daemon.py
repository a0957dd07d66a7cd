"""The agent's loops: each role reads the ledger whenever something moved, and converges.

What a role does is in `app_host` and `balancer`. While the ledger is away nothing moves, and what
runs serves on.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from stellwerk import notify
from stellwerk.host.systemd import UnitError
from stellwerk.instances.configuration import AgentConfiguration
from stellwerk.instances.model import Role, Sighting, Snapshot
from stellwerk.instances.store import (
    Ledger,
    LedgerAwayError,
    LedgerBusyError,
    LedgerRefusedError,
    Sample,
)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Pauses between tries to reach a ledger that is away: first, then doubled each time."""

AGAIN_SECONDS: Final = 1.0
"""When to try again what PostgreSQL or systemd was too busy for."""

_logger: Final = logging.getLogger(__name__)


class AppPart(Protocol):
    """What the agent does on an app host."""

    pause: float

    async def converge(self, snapshot: Snapshot) -> None: ...

    def stop_watching(self) -> None: ...

    def samples(self) -> list[Sample]: ...

    def status(self) -> str: ...


class BalancerPart(Protocol):
    """What the agent does on a balancer."""

    pause: float

    async def converge(self, snapshot: Snapshot) -> Sequence[Sighting]: ...


class Agent:
    """The agent of one host, for all its roles. `apps_wake` makes the app host's part converge."""

    def __init__(
        self,
        configuration: AgentConfiguration,
        ledger: Ledger,
        apps: AppPart | None,
        balancers: BalancerPart | None,
        apps_wake: asyncio.Event,
    ) -> None:
        self._configuration = configuration
        self._ledger = ledger
        self._apps = apps
        self._balancers = balancers
        self._wakes = {Role.APPS: apps_wake, Role.BALANCERS: asyncio.Event()}
        self._away_since: datetime | None = None
        self._reason = ""  # why it is away
        self._said = ""
        self._is_ready = False

    async def run(self) -> None:
        """Follow the ledger until cancelled, whether it is there or not."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._ledger.connect()
                await self._beat()
                self._back()
                pause = FIRST_PAUSE_SECONDS
                await self._follow()
            except* LedgerAwayError as errors:
                if self._apps is not None:
                    self._apps.stop_watching()
                self._away(errors.exceptions[0])
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _follow(self) -> None:
        """Do everything until the ledger is lost. Raises LedgerAwayError in a group."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._keep_beating())
            if self._apps is not None:
                group.create_task(self._converge_apps(self._apps))
            if self._balancers is not None:
                group.create_task(self._converge_balancers(self._balancers))

    async def _listen(self) -> None:
        async for _ in self._ledger.changes():
            for wake in self._wakes.values():
                wake.set()

    async def _converge_apps(self, part: AppPart) -> None:
        while True:
            await self._once(part.converge, self._wakes[Role.APPS])
            self._tell()
            await self._rest(Role.APPS, part.pause)

    async def _converge_balancers(self, part: BalancerPart) -> None:
        async def once(snapshot: Snapshot) -> None:
            await self._ledger.report(await part.converge(snapshot), self._configuration.host)

        while True:
            await self._once(once, self._wakes[Role.BALANCERS])
            await self._rest(Role.BALANCERS, part.pause)

    async def _once(
        self, converge: Callable[[Snapshot], Awaitable[None]], wake: asyncio.Event
    ) -> None:
        """Converge on the ledger as it is now; what is busy or refused is tried again soon."""
        wake.clear()  # what moves from here on is not in the snapshot
        try:
            await converge(await self._ledger.snapshot())
        except (LedgerBusyError, LedgerRefusedError, UnitError) as error:
            _logger.warning("%s", error)
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, wake.set)

    async def _rest(self, role: Role, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wakes[role].wait()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._configuration.heartbeat)
            with contextlib.suppress(LedgerBusyError):
                await self._beat()

    async def _beat(self) -> None:
        await self._ledger.beat(
            self._configuration.host,
            self._configuration.roles,
            self._configuration.release,
            self._status(),
            self._apps.samples() if self._apps is not None else (),
            sample_retention=self._configuration.sample_retention,
        )

    # What people are told.

    def _status(self) -> str:
        return self._apps.status() if self._apps is not None else "the balancer is followed"

    def _tell(self) -> None:
        """Tell systemd, where there is something new, and once that the start is over."""
        away = self._away_since
        text = self._status()
        if away is not None:
            text = f"Since {away:%Y-%m-%d %H:%M:%S} UTC nothing moves: {self._reason} {text}"
        if text != self._said:
            self._said = text
            notify.status(text)
        if not self._is_ready:
            self._is_ready = notify.ready()

    def _away(self, error: BaseException) -> None:
        reason = str(error)
        if self._away_since is None:
            self._away_since = datetime.now(UTC)
            _logger.warning("%s Nothing moves until it is back; what runs serves on.", reason)
        elif reason != self._reason:
            _logger.warning("%s Nothing has moved since %s.", reason, _clock(self._away_since))
        self._reason = reason
        self._tell()

    def _back(self) -> None:
        if self._away_since is not None:
            _logger.info("The ledger is back; it was away since %s.", _clock(self._away_since))
        self._away_since = None
        self._tell()


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
