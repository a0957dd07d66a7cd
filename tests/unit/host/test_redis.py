"""Redis is told what to do with secrets that are read on its host and shown nowhere."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploys.host import redis
from deploys.host.command import Failure

from .conftest import Host

PASSWORD = "planted-secret"
OK = b"+OK\r\n"


@contextmanager
def redis_that_answers(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback for one connection: each request gets the next answer."""
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for answer in answers:
                received.append(connection.recv(65536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        thread.join()


@pytest.fixture(autouse=True)
def credentials(host: Host) -> None:
    """The host's passwords."""
    folder = host.state / "credentials"
    folder.mkdir(parents=True)
    for name in ("redis.admin", "redis.replication", "sentinel.password"):
        (folder / name).write_text(PASSWORD)


def request(port: int, *commands: list[object], sentinel: bool = False) -> dict[str, object]:
    return {"port": port, "sentinel": sentinel, "commands": list(commands)}


SET_PASSWORD: list[object] = ["CONFIG", "SET", "masterauth", {"secret": "redis.replication"}]


def test_a_secret_word_is_read_on_the_host() -> None:
    with redis_that_answers(OK, OK, OK) as (port, received):
        redis.converge(request(port, SET_PASSWORD, ["CONFIG", "REWRITE"]))
    assert b"masterauth" in received[1]
    assert PASSWORD.encode() in received[1]
    assert b"REWRITE" in received[2]


def test_a_refused_command_is_shown_without_its_secret() -> None:
    refusing = redis_that_answers(OK, b"-ERR unknown option\r\n")
    with refusing as (port, _), pytest.raises(Failure) as caught:
        redis.converge(request(port, SET_PASSWORD))
    assert str(caught.value) == (
        f"Redis on port {port} refused CONFIG SET masterauth ***: ERR unknown option"
    )


def test_a_redis_that_does_not_take_the_administrator_is_said() -> None:
    told = r"Redis on port \d+ does not take the administrator: WRONGPASS"
    refusing = redis_that_answers(b"-WRONGPASS invalid\r\n")
    with refusing as (port, _), pytest.raises(Failure, match=told):
        redis.converge(request(port, SET_PASSWORD))


def test_a_secret_is_reported_as_its_digest() -> None:
    assert redis.secret_digest(PASSWORD) == hashlib.sha256(PASSWORD.encode()).hexdigest()
    assert redis.secret_digest("") == ""
