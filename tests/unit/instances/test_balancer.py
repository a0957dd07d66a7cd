"""Both balancers of a host together, and how often they are looked at."""

from pathlib import Path

import pytest

from stellwerk.instances.agent import haproxy, nginx
from stellwerk.instances.agent.balancer import Balancers
from stellwerk.instances.agent.pace import (
    MOVING_SECONDS,
    RESTING_SECONDS,
    WAITING_SECONDS,
    Pace,
)
from stellwerk.instances.model import InstanceKey, Seen, Sighting, Snapshot

from .ledgers import configuration, figures, ledger
from .programs import in_a_loop

CORE = figures("core", range(8101, 8105))
FRONTEND = figures("frontend", range(8401, 8405), balancer="nginx", listen_port=None)


class NoUnits:
    """A systemd that is never asked."""

    async def start(self, unit: str) -> str:
        raise AssertionError(unit)


@in_a_loop
async def test_sightings_of_both_come_together_and_the_shorter_pause_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def converge(self: haproxy.Haproxy | nginx.Nginx, _: Snapshot) -> list[Sighting]:
        port = 8101 if isinstance(self, haproxy.Haproxy) else 8401
        return [Sighting(InstanceKey("any", port), "lb-1", Seen.UP)]

    for part, pause in ((haproxy.Haproxy, 7.0), (nginx.Nginx, 3.0)):
        monkeypatch.setattr(part, "converge", converge)
        monkeypatch.setattr(part, "pause", pause)
    balancers = Balancers(configuration(CORE, FRONTEND), tmp_path, NoUnits())
    found = await balancers.converge(ledger())
    assert [one.key.port for one in found] == [8101, 8401]
    assert balancers.pause == 3


@in_a_loop
async def test_a_host_whose_services_no_balancer_serves_has_nothing_to_do(tmp_path: Path) -> None:
    alone = figures("alone", range(8501, 8502), balancer=None, backend=None, listen_port=None)
    balancers = Balancers(configuration(alone), tmp_path, NoUnits())
    assert await balancers.converge(ledger()) == []
    assert balancers.pause == RESTING_SECONDS


def test_what_moves_is_looked_at_often_and_what_takes_long_less_often() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    pace.look("draining", settled=False)
    assert pace.pause == MOVING_SECONDS
    now[0] = 60
    pace.look("draining", settled=False)
    assert pace.pause == WAITING_SECONDS
    pace.look("one request less", settled=False)
    assert pace.pause == MOVING_SECONDS
    pace.look("all up", settled=True)
    assert pace.pause == RESTING_SECONDS
