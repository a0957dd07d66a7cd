"""Which instances of services run on this host, as systemd says over D-Bus."""

from collections.abc import Iterable, Mapping
from typing import Final

from stellwerk.host.systemd import SystemdUnits, UnitError
from stellwerk.host.unit import Unit
from stellwerk.metrics.collectors.collector import Trouble
from stellwerk.metrics.reading import State

WHOLE_SECONDS: Final = 600.0
"""How often all is read again although nothing was told: systemd tells of every change."""


class Instances:
    """The units NAME@PORT.service of services. Connects when asked, again after it was lost."""

    def __init__(self, services: Iterable[str], address: str | None = None) -> None:
        self._patterns = [f"{name}@*.service" for name in services]
        self._address = address
        self._units: SystemdUnits | None = None

    async def units(self) -> Mapping[str, Unit]:
        """The loaded units by name. Raises Trouble."""
        try:
            if self._units is None:
                units = SystemdUnits(
                    self._patterns, lambda: None, self._address, whole_seconds=WHOLE_SECONDS
                )
                await units.connect()
                self._units = units
            return await self._units.states()
        except UnitError as error:
            self.close()
            raise Trouble(State.DOWN, f"systemd cannot be asked: {error}") from None

    def close(self) -> None:
        units, self._units = self._units, None
        if units is not None:
            units.close()


def service_and_port(unit: str) -> tuple[str, int] | None:
    """What the name of an instance's unit says; None for another unit."""
    service, at, port = unit.removesuffix(".service").partition("@")
    return (service, int(port)) if at and port.isascii() and port.isdecimal() else None
