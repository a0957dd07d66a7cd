"""A Redis is restarted only for what it would start with, and brought back where it is not well."""

from pathlib import Path
from typing import Any

import pytest

from deploys.host import redis, redis_candidate, redis_notes, redis_restart
from deploys.host.command import Failure
from deploys.host.resp import RedisError

from .conftest import Host

PORT, UNIT = 6379, "redis-server@6379.service"
BEFORE = "port 6379\ndatabases 16\n"


class Server:
    """The role that the server has, and what is wrong with it by its configuration."""

    role = "slave"
    refusal = ""

    def __init__(self, configuration: Path) -> None:
        self.configuration = configuration
        self.handed_over = False
        self.unwell_with = "nothing"

    def problem(self, _check: dict[str, Any]) -> str:
        return "it is unwell" if self.unwell_with in self.configuration.read_text() else ""

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def call(self, *_: object) -> list[str]:
        return [self.role]


@pytest.fixture
def server(host: Host, monkeypatch: pytest.MonkeyPatch) -> Server:
    configuration = host.file("redis-6379.conf", BEFORE, 0o640)
    found = Server(configuration)
    host.unit(UNIT)
    redis_state = host.state
    redis_state.mkdir(exist_ok=True)

    def hand_over(_master: object, _document: object) -> None:
        found.handed_over = True

    monkeypatch.setattr(redis_notes, "STATE", redis_state)
    monkeypatch.setattr(redis_restart, "STAGING", host.state / "staging")
    monkeypatch.setattr(redis, "configuration_of", lambda _port: configuration)
    monkeypatch.setattr(redis_restart, "hand_over", hand_over)
    monkeypatch.setattr(redis_restart, "BACK_SECONDS", 0)
    monkeypatch.setattr(redis, "connect", lambda _port: found)
    monkeypatch.setattr(redis, "check_instance", found.problem)
    monkeypatch.setattr(redis, "log_of", lambda _port: "the server's log")
    monkeypatch.setattr(redis_candidate, "refusal", lambda _path: found.refusal)
    redis_notes.remember(PORT, "databases", "32")
    return found


def restart(**changed: object) -> None:
    document = {"port": PORT, "unit": UNIT, "directives": {"databases": "32"}, "replicas": [1]}
    redis_restart.restart({**document, **changed})


def test_a_replica_restarts_with_its_directives(host: Host, server: Server) -> None:
    restart()
    assert server.configuration.read_text() == "port 6379\ndatabases 32\n"
    assert host.calls("systemctl restart") == [f"systemctl restart {UNIT}"]
    assert not server.handed_over
    assert redis_notes.remembered(PORT) == {}


def test_what_waits_no_more_restarts_nothing(host: Host, server: Server) -> None:
    """The tool of a run that was killed went on, and has done it."""
    server.role = "master"
    redis_notes.forget(PORT)
    restart()
    assert host.calls("systemctl restart") == []
    assert not server.handed_over


def test_a_master_hands_over_before_it_restarts(server: Server) -> None:
    server.role = "master"
    restart()
    assert server.handed_over


def test_what_it_would_not_start_with_restarts_nothing(host: Host, server: Server) -> None:
    server.role, server.refusal = "master", "FATAL CONFIG FILE ERROR"
    with pytest.raises(
        Failure, match=r"runs on as before, as it would not start with databases 32"
    ):
        restart()
    assert server.configuration.read_text() == BEFORE
    assert host.calls("systemctl restart") == []
    assert not server.handed_over
    assert redis_notes.remembered(PORT) == {}
    assert list((host.state / "staging").iterdir()) == []


def test_a_master_without_a_successor_serves_on(
    host: Host, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_master: object, _document: object) -> None:
        raise RedisError("its replicas have not caught up within 10 s")

    server.role = "master"
    monkeypatch.setattr(redis_restart, "hand_over", fail)
    with pytest.raises(Failure, match="was not restarted: its replicas have not caught up"):
        restart()
    assert host.calls("systemctl restart") == []
    assert redis_notes.remembered(PORT) == {"databases": "32"}


def test_what_it_is_not_well_with_is_taken_back(host: Host, server: Server) -> None:
    server.unwell_with = "databases 32"
    with pytest.raises(Failure, match=r"was started with the values of before$") as caught:
        restart()
    assert caught.value.detail == "the server's log"
    assert server.configuration.read_text() == BEFORE
    assert len(host.calls("systemctl restart")) == 2
    assert redis_notes.remembered(PORT) == {}


def test_a_server_that_does_not_come_back_either_is_said(server: Server) -> None:
    server.unwell_with = "port 6379"
    with pytest.raises(Failure, match="and not with the values of before either: it is unwell"):
        restart()
