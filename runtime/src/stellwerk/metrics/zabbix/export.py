"""Sends the latest values of a host to Zabbix, every so often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from stellwerk.metrics.alerts.evaluation import Values
from stellwerk.metrics.model import Series
from stellwerk.metrics.zabbix import items
from stellwerk.metrics.zabbix.protocol import Answer, Value, ZabbixError, send

if TYPE_CHECKING:
    from stellwerk.settings.scaling import ZabbixExport

TIME_LIMIT_SECONDS: Final = 10.0
"""Time one sending may take."""
DISCOVERY_SECONDS: Final = 600.0
"""Time between two tellings of which series there are, unless there are others."""
_MOST_VALUES: Final = 250
"""In one sending, as zabbix_sender does it."""

_logger = logging.getLogger(__name__)


class ZabbixExporter:
    """Keeps the latest value of each series and sends those that are new.

    What could not be sent is not kept: the next values say more, and the history is on the host.
    """

    def __init__(
        self,
        host: str,
        settings: "ZabbixExport",
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`host`: its name, in Zabbix as in the inventory."""
        self._host = host
        self._settings = settings
        self._pause = pause
        self._latest: dict[Series, tuple[float, float]] = {}
        self._known: dict[str, str] = {}
        self._known_at = float("-inf")
        self._works = True

    def observe(self, values: Values, at: float) -> None:
        """Take the values of a collection."""
        for series, value in values:
            self._latest[series] = (value, at)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._pause(self._settings.interval_seconds)
            if self._latest:
                await self.send()

    async def send(self) -> Answer:
        """Send what has come in since the last time. Nothing that fails ends the monitor."""
        latest, self._latest = self._latest, {}
        newest = max((at for _, at in latest.values()), default=0.0)
        taken = Answer(0, 0)
        try:
            async with asyncio.timeout(TIME_LIMIT_SECONDS):
                for batch in _batches([*self._discoveries(latest, newest), *self._values(latest)]):
                    answer = await self._send(batch)
                    taken = Answer(taken.processed + answer.processed, taken.failed + answer.failed)
        except (ZabbixError, TimeoutError) as error:
            self._known = {}
            self._say(False, str(error) or f"no answer within {TIME_LIMIT_SECONDS:.0f} s")
        else:
            self._say(True, f"takes values again: {taken.processed}")
        return taken

    async def _send(self, batch: list[Value]) -> Answer:
        server = self._settings.server
        if server is None:
            raise ZabbixError("no Zabbix server is named by scaling.export.zabbix.server")
        return await send(server, self._settings.port, batch)

    def _values(self, latest: dict[Series, tuple[float, float]]) -> list[Value]:
        return [
            Value(self._host, items.item_key(series), f"{value:.10g}", at)
            for series, (value, at) in latest.items()
            if items.is_sent(series.metric)
        ]

    def _discoveries(self, latest: dict[Series, tuple[float, float]], at: float) -> list[Value]:
        """Those to tell before the values: Zabbix takes none of an item it does not have."""
        found = {about.discovery_key: rows for about, rows in items.discoveries(latest).items()}
        due = not 0 <= at - self._known_at < DISCOVERY_SECONDS
        if due:
            self._known_at = at
        told = [
            Value(self._host, key, rows, at)
            for key, rows in found.items()
            if due or self._known.get(key) != rows
        ]
        self._known |= found
        return told

    def _say(self, works: bool, sentence: str) -> None:
        """Once, not every time."""
        if works != self._works:
            _logger.log(logging.WARNING if works else logging.ERROR, "Zabbix: %s", sentence)
        self._works = works


def _batches(values: list[Value]) -> list[list[Value]]:
    return [values[start : start + _MOST_VALUES] for start in range(0, len(values), _MOST_VALUES)]
