"""Tells an Alertmanager which alerts there are, again and again, as it expects it.

Nothing waits in a queue: what it missed, it is told the next time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from stellwerk.metrics.alerts.center import Alert
from stellwerk.metrics.alerts.document import moment
from stellwerk.notifications.web import post_json

if TYPE_CHECKING:
    from stellwerk.settings.monitoring import Alertmanager

_PATH: Final = "/api/v2/alerts"
_BELIEVED_INTERVALS: Final = 4
"""An alert ends by itself where it is not told for so many intervals."""

_logger = logging.getLogger(__name__)


class AlertmanagerMirror:
    """Keeps an Alertmanager up to date. `alerts` returns those of the host."""

    def __init__(
        self,
        host: str,
        settings: "Alertmanager",
        alerts: Callable[[], Iterable[Alert]],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._settings = settings
        self._alerts = alerts
        self._pause = pause
        self._clock = clock
        self._told: dict[str, dict[str, Any]] = {}
        self._works = True

    async def run(self) -> None:
        """Tell it until cancelled."""
        while True:
            await self.tell()
            await self._pause(self._settings.interval_seconds)

    async def tell(self) -> None:
        """Tell it once which alerts there are, and which of those it knows are over.

        Nothing that fails ends the monitor.
        """
        present = {_identity(one): one for one in self._documents()}
        over = [
            one | {"endsAt": moment(self._clock())}
            for identity, one in self._told.items()
            if identity not in present
        ]
        if not present and not over:
            return
        problem = await self._post([*present.values(), *over])
        if problem is None:
            self._told = present
        if (problem is None) != self._works:
            self._works = problem is None
            said = problem or "takes alerts again"
            _logger.log(logging.WARNING if self._works else logging.ERROR, "Alertmanager: %s", said)

    def _documents(self) -> Iterable[dict[str, Any]]:
        now = self._clock()
        until = now + _BELIEVED_INTERVALS * self._settings.interval_seconds
        for alert in self._alerts():
            if alert.silenced:
                continue
            series = alert.watch.series
            yield {
                "labels": {
                    **dict(series.labels),
                    "alertname": alert_name(series.metric.key),
                    "severity": alert.watch.severity.value,
                    "host": self._host,
                    "service": series.service,
                },
                "annotations": {"summary": f"{self._host}: {alert.sentence}"},
                "startsAt": moment(alert.watch.raised_at or now),
                "endsAt": moment(until),
            }

    async def _post(self, documents: list[dict[str, Any]]) -> str | None:
        """What went wrong, if anything."""
        url = f"{str(self._settings.url).rstrip('/')}{_PATH}"
        try:
            answer = await post_json(url, documents)
        except OSError as error:
            return f"{url} cannot be reached: {error}"
        if answer.status != HTTPStatus.OK:
            return f"{url} refused the alerts with status {answer.status}"
        return None


def alert_name(key: str) -> str:
    """The name of a metric's alert, as Prometheus' users write them: "RedisHitRatePercent"."""
    return "".join(part.capitalize() for part in key.replace(".", "_").split("_"))


def _identity(document: dict[str, Any]) -> str:
    return repr(sorted(document["labels"].items()))
