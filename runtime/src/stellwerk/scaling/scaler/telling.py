"""Tells people of scaling by the ways of alerts: the receivers of `monitoring`, with what waits for
them on disk.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stellwerk.notifications.delivery import Notifications
from stellwerk.notifications.message import Message
from stellwerk.notifications.receivers import receivers
from stellwerk.scaling.scaler.notices import Notice
from stellwerk.settings.files import HostFile
from stellwerk.settings.scaling import Route

SOURCE: Final = "scaler"
"""Who tells, in messages."""

LOOK_SECONDS: Final = 2.0
"""Pause between two looks whether there are other receivers now."""


class People:
    """Tells the receivers that the present settings name. `folder` is the scaler's own."""

    def __init__(self, settings: Callable[[], HostFile], folder: Path) -> None:
        self._read_settings = settings
        self._folder = folder
        self._renew()

    def tell(self, notice: Notice, route: Route) -> None:
        """Queue it for the route's channels."""
        again = "still: " if notice.escalated else ""
        self._notifications.tell(
            Message(notice.at, SOURCE, route.severity, f"{again}{notice.text}"),
            channels=route.channels,
            urgent=route.immediate,
        )

    async def run(self) -> None:
        """Deliver until cancelled, to other receivers once the settings name others."""
        while True:
            delivering = asyncio.ensure_future(self._notifications.run())
            try:
                while self._read_settings().settings.monitoring.receivers == self._receivers:
                    await asyncio.sleep(LOOK_SECONDS)
                    if delivering.done():  # there is nobody to deliver to, or a fault
                        delivering.result()
            finally:
                delivering.cancel()
                await asyncio.wait([delivering])
            self._renew()

    def _renew(self) -> None:
        host = self._read_settings()
        self._receivers = host.settings.monitoring.receivers
        self._notifications = Notifications(
            self._folder / "messages",
            receivers(self._receivers, host.name),
            group_seconds=self._receivers.group_seconds,
        )
