"""The health answer: what an instance says of itself, and whether balancers should send it
requests. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stellwerk.sample.availability import Reach
from stellwerk.sample.configuration import ServiceConfiguration


class Phase(StrEnum):
    """Where an instance is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


@dataclass(frozen=True)
class Health:
    """Phase and dependencies of one instance."""

    phase: Phase
    database: Reach
    cache: Reach

    @property
    def status(self) -> str:
        """The one word: starting, draining, ok, degraded (serves, but not all), unavailable."""
        if self.phase is not Phase.SERVING:
            return self.phase.value
        if not self._troubled(self.database) and not self._troubled(self.cache):
            return "ok"
        # Without the database the cached answers are left; without both there are none.
        if self._troubled(self.database) and self.cache is not Reach.REACHABLE:
            return "unavailable"
        return "degraded"

    @property
    def can_serve(self) -> bool:
        """Whether requests should be sent here."""
        return self.status in ("ok", "degraded")

    def sentence(self) -> str:
        """For `systemctl status`."""
        return f"{self.status}; PostgreSQL {self.database}, Redis {self.cache}"

    def document(
        self,
        configuration: ServiceConfiguration,
        uptime_seconds: float,
        metrics: Mapping[str, float],
    ) -> dict[str, Any]:
        """The JSON of GET /health."""
        return {
            "status": self.status,
            "service": configuration.service,
            "instance": configuration.instance,
            "uptime_seconds": round(uptime_seconds, 3),
            "dependencies": {"postgresql": self.database.value, "redis": self.cache.value},
            "metrics": dict(metrics),
        }

    @staticmethod
    def _troubled(reach: Reach) -> bool:
        return reach in (Reach.AWAY, Reach.WITHOUT_DATA)
