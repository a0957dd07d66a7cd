"""All that goes out from a host's monitor: alerts to people and Alertmanager, values to Zabbix.

The one thing for the daemon to make, to feed after each collection, and to run.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.metrics.alerts import api
from stellwerk.metrics.alerts.alertmanager import AlertmanagerMirror
from stellwerk.metrics.alerts.api import Answer
from stellwerk.metrics.alerts.center import AlertCenter
from stellwerk.metrics.alerts.evaluation import Changed, Values
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.zabbix.export import ZabbixExporter
from stellwerk.notifications.delivery import Notifications
from stellwerk.notifications.receivers import receivers

if TYPE_CHECKING:
    from stellwerk.settings.root import Settings


class Alerting:
    """Alerts of a host and its exports. `folder` is the daemon's own, for what outlives it."""

    def __init__(self, host: str, settings: "Settings", registry: Registry, folder: Path) -> None:
        monitoring = settings.monitoring
        told = receivers(monitoring.receivers, host)
        self._host = host
        self._notifications = Notifications(
            folder / "messages", told, group_seconds=monitoring.receivers.group_seconds
        )
        self.center = AlertCenter(
            host, registry, monitoring, self._notifications, folder / "alerts.json"
        )
        manager, zabbix = monitoring.receivers.alertmanager, settings.scaling.export.zabbix
        self._alertmanager = (
            AlertmanagerMirror(host, manager, self.center.alerts) if manager.url else None
        )
        self._zabbix = ZabbixExporter(host, zabbix) if zabbix.enabled and zabbix.server else None

    def observe(self, values: Values, at: float) -> tuple[Changed, ...]:
        """Take the values of a collection, in their metrics' units: of counters the rates.

        To be called after each collection, also one without any values. Returns what changed.
        """
        found = list(values)
        if self._zabbix is not None:
            self._zabbix.observe(found, at)
        return self.center.observe(found, at)

    @property
    def queued(self) -> dict[str, int]:
        """How many messages wait, by receiver."""
        return self._notifications.waiting()

    def answer(self, method: str, path: str, body: bytes) -> Answer | None:
        """What the API answers to a request that was let in; None where the path is another's."""
        return api.answer(self._host, self.center, self.queued, method, path, body)

    async def run(self) -> None:
        """Deliver and export until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._notifications.run())
            if self._alertmanager is not None:
                group.create_task(self._alertmanager.run())
            if self._zabbix is not None:
                group.create_task(self._zabbix.run())
