"""The balancers of a host: brings HAProxy and nginx to the ledger's instances and tells how they
see them.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from stellwerk.host.systemd import UnitStarter
from stellwerk.instances.agent.haproxy import Haproxy
from stellwerk.instances.agent.nginx import Nginx
from stellwerk.instances.agent.pace import RESTING_SECONDS
from stellwerk.instances.configuration import AgentConfiguration
from stellwerk.instances.model import Sighting, Snapshot


class _Balancer(Protocol):
    @property
    def pause(self) -> float: ...
    async def converge(self, snapshot: Snapshot) -> Sequence[Sighting]: ...


class Balancers:
    """HAProxy and nginx of this host, as far as services are balanced by them.

    `pause` is the time in seconds after which to call `converge` again when nothing is told.
    """

    def __init__(self, configuration: AgentConfiguration, state: Path, units: UnitStarter) -> None:
        used = {figures.balancer for figures in configuration.services.values()}
        self._balancers: list[_Balancer] = []
        if "haproxy" in used:
            self._balancers.append(Haproxy(configuration, state))
        if "nginx" in used:
            self._balancers.append(Nginx(configuration, state, units))
        self.pause = RESTING_SECONDS

    async def converge(self, snapshot: Snapshot) -> Sequence[Sighting]:
        """Take the next steps towards the snapshot; how each instance in it is seen now.

        Never waits for long and never raises for a balancer that does not answer: that is logged,
        and instances it might still serve are left out of the answer.
        """
        found = await asyncio.gather(*(one.converge(snapshot) for one in self._balancers))
        self.pause = min((one.pause for one in self._balancers), default=RESTING_SECONDS)
        return [sighting for sightings in found for sighting in sightings]
