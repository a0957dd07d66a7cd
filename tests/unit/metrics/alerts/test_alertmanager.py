"""Claims about what an Alertmanager is told, with a server in its place."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stellwerk.metrics.alerts.alertmanager import AlertmanagerMirror, alert_name
from stellwerk.settings.monitoring import Alertmanager
from tests.unit.metrics.alerts.examples import CPU, REDIS_UP
from tests.unit.metrics.alerts.test_center import Host
from tests.unit.notifications.servers import Posted, web_server


class Mirror:
    """A host whose alerts an Alertmanager is told."""

    def __init__(self, folder: Path) -> None:
        self.host = Host(folder)

    def tell(self, posted: Posted, *collections: dict[Any, float]) -> None:
        """Tell it after each ten of the same collections."""

        async def scenario() -> None:
            async with web_server(posted) as server:
                settings = Alertmanager(url=server.url)
                mirror = AlertmanagerMirror(
                    "cache-1", settings, self.host.center.alerts, clock=lambda: self.host.at
                )
                for values in collections:
                    self.host.collect(values, times=10)
                    await mirror.tell()

        asyncio.run(scenario())


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path)


def _until(document: dict[str, Any]) -> float:
    return datetime.fromisoformat(document["endsAt"]).timestamp()


def test_alerts_are_told_again_and_again_and_end_by_themselves_when_they_are_not(
    mirror: Mirror,
) -> None:
    posted = Posted()
    mirror.tell(posted, {REDIS_UP: 0}, {REDIS_UP: 0})
    (first,), (again,) = posted.bodies
    assert first["labels"] == {
        "alertname": "RedisAvailability",
        "severity": "critical",
        "host": "cache-1",
        "service": "redis",
        "port": "6379",
    }
    assert first["annotations"]["summary"] == "cache-1: redis 6379 is down"
    assert again["labels"] == first["labels"]
    assert again["startsAt"] == first["startsAt"]
    assert mirror.host.at < _until(again)


def test_an_alert_that_is_over_is_told_as_such_once(mirror: Mirror) -> None:
    posted = Posted()
    mirror.tell(posted, {REDIS_UP: 0}, {REDIS_UP: 1}, {REDIS_UP: 1})
    _, (over,) = posted.bodies
    assert over["labels"]["alertname"] == "RedisAvailability"
    assert _until(over) <= mirror.host.at


def test_an_end_that_was_missed_is_told_the_next_time(mirror: Mirror) -> None:
    def statuses() -> Iterator[int]:
        yield 200
        yield 503

    posted = Posted(statuses=statuses())
    mirror.tell(posted, {REDIS_UP: 0}, {REDIS_UP: 1}, {REDIS_UP: 1})
    assert len(posted.bodies) == 3
    assert posted.bodies[1][0]["labels"] == posted.bodies[2][0]["labels"]


def test_nothing_is_told_while_all_is_well(mirror: Mirror) -> None:
    posted = Posted()
    mirror.tell(posted, {REDIS_UP: 1, CPU: 5})
    assert posted.bodies == []


def test_a_silenced_alert_is_not_told(mirror: Mirror) -> None:
    mirror.host.center.silence(3600, "ops", "", metric="*", service="redis", subject="*")
    posted = Posted()
    mirror.tell(posted, {REDIS_UP: 0, CPU: 99})
    assert [one["labels"]["alertname"] for one in posted.bodies[0]] == ["SystemCpuPercent"]


def test_one_that_is_not_there_ends_nothing_and_is_said_once(
    mirror: Mirror, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Alertmanager(url="http://127.0.0.1:9")
    told = AlertmanagerMirror("cache-1", settings, mirror.host.center.alerts)
    mirror.host.collect({REDIS_UP: 0}, times=10)
    caplog.clear()

    async def scenario() -> None:
        for _ in range(3):
            await told.tell()

    asyncio.run(scenario())
    assert len(caplog.records) == 1


def test_names_are_as_prometheus_users_write_them() -> None:
    assert alert_name("redis.hit_rate_percent") == "RedisHitRatePercent"
