"""The scaler's loops: it leads or stands by, measures, judges, writes, and tells people.

While the ledger is away nothing moves, and it goes on by itself when that is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from stellwerk import notify
from stellwerk.instances.connection import Connection
from stellwerk.instances.errors import LedgerBusyError, LedgerError, LedgerRefusedError
from stellwerk.instances.model import Role, State
from stellwerk.instances.store import read_snapshot, require_version
from stellwerk.scaling.forecast.predictor import history_days
from stellwerk.scaling.ledger import ScalingLedger
from stellwerk.scaling.records import ClockStep, Pulse
from stellwerk.scaling.scaler.figures import Figures, Standing
from stellwerk.scaling.scaler.foreseeing import Forecasts
from stellwerk.scaling.scaler.heard import ClockWatch, Heard
from stellwerk.scaling.scaler.judging import Rulebook, Verdict, judge
from stellwerk.scaling.scaler.notices import Outputs, tell_all
from stellwerk.scaling.scaler.source import Source, Target
from stellwerk.settings.files import HostFile
from stellwerk.settings.root import Settings

PULSE_SECONDS: Final = 2.0
"""How often the leader looks for news, and another one whether it can lead. With the silence after
which a leader's lock ends, another leads within 10 s."""

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Pauses between tries to reach a ledger that is away: first, then doubled each time."""

_PRUNE_SECONDS: Final = 600.0
_FORESEE_SECONDS: Final = 10.0
"""Pause between two looks whether a forecast is due."""

_logger: Final = logging.getLogger(__name__)

Connect = Callable[[], Awaitable[Connection]]


class Scaler:
    """The scaler of one host.

    + settings: the present settings; another object where they have changed
    + connect: opens a connection to the ledger
    """

    def __init__(
        self,
        settings: Callable[[], HostFile],
        connect: Connect,
        source: Source,
        outputs: Sequence[Outputs],
        figures: Figures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_settings = settings
        self._host = settings()
        self._rulebook = Rulebook.of(self._host)
        self._connect = connect
        self._source = source
        self._outputs = outputs
        self._figures = figures
        self._forecasts = Forecasts()
        self._clock = clock
        self._clock_watch = ClockWatch()
        self._said = ""
        self._is_ready = False

    async def run(self) -> None:
        """Lead or stand by until cancelled, whether the ledger is there or not."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                connection = await self._connect()
                try:
                    await require_version(connection)
                    pause = FIRST_PAUSE_SECONDS
                    await self._follow(connection)
                finally:
                    await connection.close()
            except* LedgerError as errors:
                reason = errors.exceptions[0]
                self._tell(f"Nothing moves: {reason}", warning=True)
            self._figures.write(Standing.AWAY)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _follow(self, connection: Connection) -> None:
        """Wait until nobody else leads, and lead. Raises LedgerAwayError."""
        ledger = ScalingLedger(connection)
        while not await ledger.lead():
            await self._look(ledger)
            self._tell("Stands by; another one leads.")
            self._figures.write(Standing.STANDS_BY)
            await asyncio.sleep(PULSE_SECONDS)
        self._tell("Leads.")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_judging(ledger))
            group.create_task(self._keep_measuring(connection, ledger))
            group.create_task(self._keep_foreseeing(ledger))

    # Judging.

    async def _keep_judging(self, ledger: ScalingLedger) -> None:
        heard = Heard(self._clock())
        judge_at = prune_at = self._clock()
        news: object = None
        while True:
            pulse, step = await self._look(ledger)
            now = self._clock()
            heard.take(pulse.agents, now)
            silent = self._silent(heard, now)
            if step:
                await self._see_to(step, ledger)
            changed = self._refresh() or (pulse.orders, silent) != news
            if changed or now >= judge_at:
                done = await self._judge(ledger, silent)
                judge_at = now + (self._settings.scaling.check_interval_seconds if done else 0)
                news = (pulse.orders, silent)
            if now >= prune_at:
                await self._prune(ledger)
                prune_at = now + _PRUNE_SECONDS
            self._figures.write(Standing.LEADS)
            await asyncio.sleep(PULSE_SECONDS)

    async def _look(self, ledger: ScalingLedger) -> tuple[Pulse, ClockStep | None]:
        """A pulse, and what a leader has to see to as the ledger's clock was set."""
        asked = self._clock()
        pulse = await ledger.pulse()
        return pulse, self._clock_watch.look(pulse, asked, self._clock())

    async def _see_to(self, step: ClockStep, ledger: ScalingLedger) -> None:
        event = await ledger.clock_was_set(step)
        self._clock_watch.seen_to(event)
        if event is not None:
            _logger.warning("The ledger's clock was set by %.0f s; measuring anew.", step.seconds)

    @property
    def _settings(self) -> Settings:
        return self._host.settings

    def _refresh(self) -> bool:
        """Take up changed settings; whether there are any."""
        host, before = self._read_settings(), self._host
        if host is not before:
            self._host, self._rulebook = host, Rulebook.of(host)
        return host is not before

    def _silent(self, heard: Heard, now: float) -> frozenset[tuple[str, str]]:
        expected = [(one.name, str(role)) for role in Role for one in self._host.group(str(role))]
        return heard.silent(expected, now, self._settings.agent.lost_after_seconds)

    async def _judge(self, ledger: ScalingLedger, silent: frozenset[tuple[str, str]]) -> bool:
        """Judge all services once; False where it is to be tried again soon."""
        try:
            findings = await ledger.findings(self._settings.scaling.metrics_retention_seconds)
            foresights = self._forecasts.at(findings.snapshot.at)
            verdicts = judge(self._rulebook, findings, silent, foresights)
            loads = {one.judged.service: one.load for one in verdicts if one.load is not None}
            await ledger.keep_loads(findings.snapshot.at, loads)
            await ledger.record_unchanged(
                one.judged for one in verdicts if one.is_kept and not one.changes
            )
            changed = [one for one in verdicts if one.changes]
            written = [one for one in changed if await self._write(ledger, one)]
        except (LedgerBusyError, LedgerRefusedError) as error:
            _logger.warning("%s", error)
            return False
        for one in verdicts:
            if one.fault and one.notices:  # the first time
                _logger.error("%s", one.decision.sentence, exc_info=one.fault)
            if one in written or not one.changes:
                tell_all(one.notices, self._settings.scaling.notifications, self._outputs)
        self._figures.judged(self._rulebook, verdicts, written)
        self._tell(f"Leads; judges {len(self._rulebook.judged)} services.")
        return len(written) == len(changed)

    async def _write(self, ledger: ScalingLedger, verdict: Verdict) -> bool:
        written = await ledger.record(verdict.judged)
        if not written:
            _logger.info("%s: its numbers were changed meanwhile.", verdict.judged.service)
        return written

    # Measuring.

    async def _keep_measuring(self, connection: Connection, ledger: ScalingLedger) -> None:
        while True:
            began = self._clock()
            try:
                targets = await self._targets(connection)
                if found := await self._source.metrics(targets):
                    await ledger.keep_samples(found)
            except (LedgerBusyError, LedgerRefusedError) as error:
                _logger.warning("%s", error)
            took = self._clock() - began
            await asyncio.sleep(max(0.0, self._settings.monitoring.interval_seconds - took))

    async def _targets(self, connection: Connection) -> list[Target]:
        """The instances that serve and whose metrics somebody wants, or that nobody else asks."""
        snapshot = await read_snapshot(connection)
        services, rulebook = self._settings.services, self._rulebook
        asked = rulebook.judged | (services.keys() - rulebook.surroundings.checked)
        return [
            Target(key, one.address, services[key.service].health_path)
            for key, one in snapshot.instances.items()
            if one.state is State.READY and key.service in asked & services.keys()
        ]

    # Foreseeing.

    async def _keep_foreseeing(self, ledger: ScalingLedger) -> None:
        while True:
            try:
                now = (await ledger.pulse()).at
                await self._forecasts.renew(self._settings, ledger.loads, now)
            except (LedgerBusyError, LedgerRefusedError) as error:
                _logger.warning("%s", error)
            await asyncio.sleep(_FORESEE_SECONDS)

    async def _prune(self, ledger: ScalingLedger) -> None:
        scaling = self._settings.scaling
        await ledger.prune(
            timedelta(seconds=scaling.metrics_retention_seconds),
            timedelta(days=history_days(scaling.predictive)),
        )

    def _tell(self, text: str, *, warning: bool = False) -> None:
        """Tell systemd, and the journal where it is news; once that the start is over."""
        if text != self._said:
            self._said = text
            _logger.log(logging.WARNING if warning else logging.INFO, "%s", text)
            notify.status(text)
        if not self._is_ready:
            self._is_ready = notify.ready()
