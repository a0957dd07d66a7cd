"""Redis is told what to do with secrets that are read on its host and shown nowhere."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.host import passwords, redis, redis_converge, redis_notes, redis_restart, redis_users
from deploys.host.command import Failure
from deploys.host.resp import RedisError

from .conftest import Host

PASSWORD = "planted-secret"
Answer = Callable[[list[str]], bytes]


class FakeRedis:
    """A server on loopback that keeps a configuration; every connection is answered alike."""

    def __init__(self, **configuration: str) -> None:
        self.configuration = {"min-replicas-to-write": "0", **configuration}
        self.received: list[list[str]] = []
        self.immutable: set[str] = set()
        self.refused: dict[str, str] = {}
        self.unhealthy_with: dict[str, str] = {}
        self.login_error = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    @property
    def commands(self) -> list[str]:
        """What was sent beside logins and questions."""
        asked = ("AUTH", "CONFIG GET", "INFO")
        lines = [" ".join(words) for words in self.received]
        return [line for line in lines if not line.startswith(asked)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                words = [self._word(stream) for _ in range(int(line[1:]))]
                self.received.append(words)
                connection.sendall(self._answer(words))

    @staticmethod
    def _word(stream: Any) -> str:
        size = int(stream.readline()[1:])
        return str(stream.read(size + 2)[:-2].decode())

    def _answer(self, words: list[str]) -> bytes:
        sick = any(self.configuration.get(name) == bad for name, bad in self.unhealthy_with.items())
        if words[0] == "AUTH" and (self.login_error or sick):
            return f"-{self.login_error or 'ERR max number of clients reached'}\r\n".encode()
        if words[0] == "INFO":
            return b"$11\r\nrole:master\r\n"
        if words[:2] == ["CONFIG", "GET"]:
            found = [
                (name, self.configuration[name]) for name in words[2:] if name in self.configuration
            ]
            flat = [word for pair in found for word in pair]
            return f"*{len(flat)}\r\n".encode() + b"".join(
                f"${len(word)}\r\n{word}\r\n".encode() for word in flat
            )
        if words[:2] == ["CONFIG", "SET"]:
            return self._set(dict(zip(words[2::2], words[3::2], strict=True)))
        return b"+OK\r\n"

    def _set(self, values: dict[str, str]) -> bytes:
        for name in values:
            reason = "can't set immutable config" if name in self.immutable else ""
            reason = reason or self.refused.get(name, "")
            if reason:
                return (
                    f"-ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}\r\n"
                ).encode()
        self.configuration |= values
        return b"+OK\r\n"


@pytest.fixture
def server() -> Iterator[FakeRedis]:
    found = FakeRedis(maxmemory="100", timeout="0", masterauth="")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def credentials(host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's passwords, and where it keeps its notes."""
    folder = host.state / "credentials"
    folder.mkdir(parents=True)
    for name in ("redis.admin", "redis.replication", "sentinel.password"):
        (folder / name).write_text(PASSWORD)
    monkeypatch.setattr(redis_notes, "STATE", host.state)
    monkeypatch.setattr(redis_converge, "CREDENTIALS", folder)
    monkeypatch.setattr(passwords, "CREDENTIALS", folder)
    return folder


def give(server: FakeRedis, **settings: Any) -> None:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    redis_converge.converge(
        {
            "port": server.port,
            "sentinel": False,
            "settings": named,
            "parameters": [],
            "to_default": [],
        }
    )


def test_all_settings_are_set_by_one_command_and_kept(server: FakeRedis) -> None:
    give(server, maxmemory="200", timeout="300")
    assert server.commands == ["CONFIG SET maxmemory 200 timeout 300", "CONFIG REWRITE"]


def test_a_secret_is_read_on_the_host(server: FakeRedis) -> None:
    give(server, masterauth={"secret": "redis.replication"})
    assert server.configuration["masterauth"] == PASSWORD


def test_a_refused_value_leaves_the_others_as_they_were_and_shows_no_secret(
    server: FakeRedis,
) -> None:
    server.refused["masterauth"] = "unfit"
    with pytest.raises(Failure) as caught:
        give(server, maxmemory="200", masterauth={"secret": "redis.replication"})
    assert str(caught.value) == (
        f"Redis on port {server.port} runs on as before, as it refuses its settings: ERR CONFIG SET"
        " failed (possibly related to argument 'masterauth') - unfit"
    )
    assert server.configuration["maxmemory"] == "100"
    assert "CONFIG REWRITE" not in server.commands


def test_values_that_redis_is_not_well_with_are_taken_back_and_not_kept(
    server: FakeRedis,
) -> None:
    server.unhealthy_with["timeout"] = "1"
    with pytest.raises(Failure, match=r"was not healthy with maxmemory, timeout .*max number"):
        give(server, maxmemory="200", timeout="1")
    assert server.configuration["maxmemory"] == "100"
    assert server.configuration["timeout"] == "0"
    assert "CONFIG REWRITE" not in server.commands


def test_what_takes_a_restart_is_noted_and_the_rest_is_set(server: FakeRedis) -> None:
    server.immutable.add("databases")
    server.configuration["databases"] = "16"
    give(server, databases="32", timeout="300")
    assert server.configuration["timeout"] == "300"
    assert redis_notes.remembered(server.port) == {"databases": "32"}


def test_what_is_as_wanted_again_waits_no_more(server: FakeRedis) -> None:
    redis_notes.remember(server.port, "timeout", "5")
    redis_notes.remember(server.port, "databases", "32")
    give(server, timeout="0")
    assert redis_notes.remembered(server.port) == {"databases": "32"}
    assert server.commands == ["CONFIG REWRITE"]


def test_a_change_that_is_interrupted_is_known_as_not_kept(server: FakeRedis) -> None:
    with pytest.raises(RedisError), redis_notes.saving(server.port):
        raise RedisError("the connection was closed")
    assert redis_notes.is_unsaved(server.port)
    give(server, timeout="300")
    assert not redis_notes.is_unsaved(server.port)
    server.refused["timeout"] = "unfit"
    with pytest.raises(Failure):
        give(server, timeout="1")
    assert not redis_notes.is_unsaved(server.port)


def test_a_redis_that_does_not_take_the_administrator_is_said(server: FakeRedis) -> None:
    server.login_error = "WRONGPASS invalid"
    told = r"Redis on port \d+ does not take the administrator: WRONGPASS"
    with pytest.raises(Failure, match=told):
        give(server, maxmemory="200")


def test_a_refused_command_to_a_sentinel_is_shown_without_its_secret() -> None:
    shown = redis_converge._shown(["SENTINEL", "CONFIG", "SET", "sentinel-pass", {"secret": "x"}])
    assert shown == "SENTINEL CONFIG SET sentinel-pass ***"


def test_a_secret_is_reported_as_its_digest() -> None:
    assert redis.secret_digest(PASSWORD) == hashlib.sha256(PASSWORD.encode()).hexdigest()
    assert redis.secret_digest("") == ""


def test_a_password_is_told_of_by_digest_with_who_uses_it(
    host: Host, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = host.state / "run"
    (units / "core@8101.service").mkdir(parents=True)
    (units / "core@8101.service" / "redis.password").write_text(f"{PASSWORD}\n")
    (units / "core@8101.service" / "api_key").write_text("something else")
    users = host.state / "users.acl"
    users.write_text("user default off\nuser app on #new #old ~* +@all\n")
    monkeypatch.setattr(passwords, "UNITS", units)
    monkeypatch.setattr(redis_users, "USERS", users)
    found = passwords.state()
    assert found["accepted"] == {"default": [], "app": ["new", "old"]}
    (holders,) = found["used"].values()
    assert set(holders) == {
        "core@8101.service",
        *(str(credentials / name) for name in ("redis.admin", "redis.replication")),
        str(credentials / "sentinel.password"),
    }
    assert PASSWORD not in json.dumps(found)


NAMES = st.sampled_from(["databases", "tcp-backlog", "save", "bind", "rename-command"])


@given(st.dictionaries(NAMES, st.sampled_from(["32", "600", r"a\1b", "900 1"]), min_size=1))
def test_directives_replace_their_own_lines_and_leave_all_others(values: dict[str, str]) -> None:
    before = "bind 127.0.0.1\nport 6379\ndatabases 16\ndatabases-more 1\n"
    lines = redis_restart.edited(before, values).splitlines()
    assert {"port 6379", "databases-more 1"} <= set(lines)
    for name, value in values.items():
        assert [line for line in lines if line.split()[0] == name] == [f"{name} {value}"]
