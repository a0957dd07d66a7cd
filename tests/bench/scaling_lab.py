"""Measures the scaler on six hosts of the lab, under load that climbs in steps, holds, and falls
again, through HAProxy and through nginx at once. Part of `python -m tests.bench scaling`.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.deploys import DEBIAN_12
from tests.bench.table import Figure
from tests.lab.platform import Platform
from tests.lab.scaled import CORE, FRONTEND, LOOK_SECONDS, ask
from tests.lab.traffic import Door, Traffic, allow_slow_requests, doors
from tests.lab.waiting import wait_until

_STAIRS: Final = 6
_STAIR_RATE: Final = 15  # requests a second that each adds at each door
_STAIR_SECONDS: Final = 30
_HOLD_SECONDS: Final = 180
_SETTLE_SECONDS: Final = 900.0
_LEAST: Final = 2  # instances of both services, which the first stair alone takes
_UP_ABOVE: Final = 20
_PERIOD_SECONDS: Final = 60
_INTERVAL_SECONDS: Final = 60
_OVERHEAD_SECONDS: Final = 2
_RULES: Final = {
    "rules": {"requests_per_second": {"up_above": _UP_ABOVE, "down_below": 8}},
    "evaluation_period_seconds": _PERIOD_SECONDS,
    "cooldown_up_seconds": 60,
    "cooldown_down_seconds": 60,
    "stabilization_down_seconds": 60,
    "step_up": 2,
    "step_down": 2,
}
_SCALING: Final = {
    "check_interval_seconds": _INTERVAL_SECONDS,
    "services": {CORE: _RULES, FRONTEND: _RULES},
}
# When the rule's measure was above its threshold, and what came of it, by the ledger's clock.
_FIRST_ADDED: Final = """
    WITH told AS (
        SELECT at, port, (metrics->>'requests_per_second')::float8 AS value
        FROM stellwerk.scaling_samples WHERE service = '{service}'
    ), crossed AS (
        SELECT min(at) AS at FROM told WHERE {up_above} < (
            SELECT avg(mean) FROM (
                SELECT avg(value) AS mean FROM told AS earlier
                WHERE earlier.at BETWEEN told.at - interval '{period} s' AND told.at
                GROUP BY port
            ) AS means)
    ), claimed AS (
        SELECT event.port, event.at FROM stellwerk.events AS event, crossed
        WHERE event.service = '{service}' AND event.kind = 'claimed' AND event.at > crossed.at
    ), first AS (
        SELECT claimed.port, claimed.at AS claimed, sighting.since AS up
        FROM claimed JOIN stellwerk.sightings AS sighting
            ON sighting.service = '{service}' AND sighting.port = claimed.port
        WHERE sighting.seen = 'up' ORDER BY up LIMIT 1
    )
    SELECT extract(epoch FROM first.claimed - crossed.at),
        extract(epoch FROM (
            SELECT min(ready.at) FROM stellwerk.events AS ready
            WHERE ready.service = '{service}' AND ready.port = first.port
                AND ready.kind = 'ready' AND ready.at > first.claimed) - first.claimed),
        extract(epoch FROM first.up - crossed.at)
    FROM crossed, first
"""


@dataclass(frozen=True)
class _Added:
    """The first instance that was added, in seconds. All but `starting` count from the moment at
    which the rule's measure was above its threshold.
    """

    claimed: float
    starting: float  # from its claim until it was healthy
    in_rotation: float

    @property
    def most(self) -> float:
        """What it may take."""
        return _INTERVAL_SECONDS + self.starting + _OVERHEAD_SECONDS


def following() -> Iterator[Figure]:
    """Measure on six Debian 12 hosts in a lab of their own, which is taken down again."""
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform("bench-scaled", DEBIAN_12, Path(folder))
        platform.is_scaled = True
        try:
            platform.lab.up()
            platform.lab.reset("bare")
            allow_slow_requests(platform)
            with (Path(folder) / "group_data" / "all.py").open("a") as file:
                file.write(f"scaling = {_SCALING!r}\n")
            platform.deploy()
            yield from _measured(platform, Path(folder))
        finally:
            platform.lab.down()


def _measured(platform: Platform, folder: Path) -> Iterator[Figure]:
    ways = doors(str(platform.lab.addresses["lb-1"]))
    stairs = [
        Traffic(platform, _made(folder / f"stair-{number}"), ways, _STAIR_RATE)
        for number in range(_STAIRS)
    ]
    with stairs[0]:
        with ExitStack() as climbed:
            for one in stairs[1:]:
                time.sleep(_STAIR_SECONDS)
                climbed.enter_context(one)
                climbed.callback(time.sleep, _STAIR_SECONDS)  # before this one ends again
            time.sleep(_HOLD_SECONDS)
            added = {way.name: _first_added(platform, way.service) for way in ways}
            most = {way.name: _wanted(platform, way.service) for way in ways}
        began = time.monotonic()
        settled = wait_until(
            lambda: all(_wanted(platform, way.service) == _LEAST for way in ways),
            _SETTLE_SECONDS,
            LOOK_SECONDS,
        )
        seconds = time.monotonic() - began
    for way in ways:
        yield from _figures(way, stairs, added[way.name], most[way.name])
    back = f"{seconds:.0f} s" if settled else f"not within {seconds:.0f} s"
    yield Figure(f"{_LEAST} of both again, after the load had fallen", back, "-")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _figures(way: Door, stairs: list[Traffic], added: _Added, most: int) -> Iterator[Figure]:
    bar = (
        f"at most {added.most:.1f} s: check {_INTERVAL_SECONDS}, start {added.starting:.1f},"
        f" {_OVERHEAD_SECONDS}"
    )
    failed = {
        reason: count
        for stair in stairs
        for reason, count in stair.failures.items()
        if reason.startswith(f"{way.name}:")
    }
    yield Figure(f"{way.name}: first new instance in rotation", f"{added.in_rotation:.1f} s", bar)
    yield Figure(f"{way.name}: of that, until it was wanted", f"{added.claimed:.1f} s", "-")
    yield Figure(f"{way.name}: instances at the height of the load", str(most), "-")
    yield Figure(f"{way.name}: requests", str(sum(one.requests_of(way) for one in stairs)), "-")
    yield Figure(f"{way.name}: failed", str(sum(failed.values())), "0")


def _first_added(platform: Platform, service: str) -> _Added:
    found = ask(
        platform,
        _FIRST_ADDED.format(service=service, up_above=_UP_ABOVE, period=_PERIOD_SECONDS),
    )
    return _Added(*(float(one) for one in found.split("|")))


def _wanted(platform: Platform, service: str) -> int:
    query = f"SELECT sum(instances) FROM stellwerk.desired WHERE service = '{service}'"
    return int(ask(platform, query))
