"""When an instance says that it can serve."""

import pytest

from stellwerk.sample.availability import Reach
from stellwerk.sample.health import Health, Phase

SERVING = Phase.SERVING
REACHABLE, AWAY = Reach.REACHABLE, Reach.AWAY
WITHOUT_DATA, NOT_CONFIGURED = Reach.WITHOUT_DATA, Reach.NOT_CONFIGURED


@pytest.mark.parametrize(
    ("phase", "database", "cache", "status", "can_serve"),
    [
        (SERVING, REACHABLE, REACHABLE, "ok", True),
        (SERVING, NOT_CONFIGURED, NOT_CONFIGURED, "ok", True),
        (SERVING, REACHABLE, NOT_CONFIGURED, "ok", True),
        (SERVING, REACHABLE, AWAY, "degraded", True),
        (SERVING, AWAY, REACHABLE, "degraded", True),
        (SERVING, WITHOUT_DATA, REACHABLE, "degraded", True),
        (SERVING, NOT_CONFIGURED, AWAY, "degraded", True),
        (SERVING, AWAY, AWAY, "unavailable", False),
        (SERVING, AWAY, NOT_CONFIGURED, "unavailable", False),
        (Phase.STARTING, REACHABLE, REACHABLE, "starting", False),
        (Phase.DRAINING, REACHABLE, REACHABLE, "draining", False),
    ],
)
def test_status_follows_phase_and_servers(
    phase: Phase, database: Reach, cache: Reach, status: str, can_serve: bool
) -> None:
    health = Health(phase, database, cache)
    assert health.status == status
    assert health.can_serve is can_serve
