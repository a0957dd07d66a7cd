"""A server that leaves stops for good; a master goes only when another one has taken over."""

from pathlib import Path
from typing import Any

import pytest

from deploys.host import redis, redis_notes, redis_removal
from deploys.host.command import Failure
from deploys.host.resp import RedisError

from .conftest import Host

UNIT = "redis-server@6379.service"


class Server:
    role = "master"

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def call(self, *_: object) -> list[str]:
        return [self.role]


@pytest.fixture
def server(host: Host, monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    host.unit(UNIT)
    monkeypatch.setattr(redis, "connect", lambda _port: found)
    monkeypatch.setattr(redis_notes, "STATE", host.state)
    return found


@pytest.fixture
def document(host: Host) -> dict[str, Any]:
    stamp = host.state / "stamps" / "redis-6379.json"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("{}")
    return {
        "port": 6379,
        "unit": UNIT,
        "replicas": [["198.18.0.32", 6379]],
        "files": [str(host.file("redis-6379.conf", "port 6379\n")), str(host.root / "absent")],
        "stamps": ["redis-6379"],
    }


def left(host: Host) -> list[Path]:
    return [path for folder in (host.root, host.state) for path in folder.rglob("*.*")]


@pytest.mark.usefixtures("server")
def test_a_master_hands_over_and_nothing_of_it_is_left(
    host: Host, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over: list[object] = []
    monkeypatch.setattr(redis_removal, "hand_over", lambda *given: handed_over.append(given[1]))
    redis_removal.remove(document)
    assert handed_over == [document]
    assert not host.is_active(UNIT)
    assert host.calls("disable") == [f"systemctl disable --quiet {UNIT}"]
    assert left(host) == []


@pytest.mark.usefixtures("server")
def test_a_master_without_a_successor_serves_on(
    host: Host, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RedisError("Sentinel sees no replica fit to take over in 40 s")

    monkeypatch.setattr(redis_removal, "hand_over", fail)
    with pytest.raises(Failure, match="was not removed: Sentinel sees no replica"):
        redis_removal.remove(document)
    assert host.is_active(UNIT)
    assert len(left(host)) == 2


def test_a_replica_and_a_sentinel_just_stop(
    host: Host, server: Server, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_removal, "hand_over", None)
    server.role = "slave"
    redis_removal.remove(document)
    del document["replicas"]
    redis_removal.remove(document)
    assert not host.is_active(UNIT)
