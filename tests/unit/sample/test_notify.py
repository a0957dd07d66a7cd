"""What systemd hears, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stellwerk import notify


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield receiver


def heard(receiver: socket.socket) -> list[str]:
    return receiver.recv(4096).decode().split("\n")


def test_each_message_is_one_datagram(systemd: socket.socket) -> None:
    assert notify.ready()
    assert heard(systemd) == ["READY=1"]
    assert notify.stopping()
    assert heard(systemd) == ["STOPPING=1"]
    assert notify.extend_timeout(2.5)
    assert heard(systemd) == ["EXTEND_TIMEOUT_USEC=2500000"]
    assert notify.watchdog()
    assert heard(systemd) == ["WATCHDOG=1"]


def test_a_status_goes_with_the_message(systemd: socket.socket) -> None:
    notify.ready("serving")
    assert heard(systemd) == ["READY=1", "STATUS=serving"]


def test_a_status_of_several_lines_cannot_say_anything_else(systemd: socket.socket) -> None:
    notify.status("one\nREADY=1\r\nthree")
    assert heard(systemd) == ["STATUS=one READY=1 three"]


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"stellwerk-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert notify.ready()
        assert heard(receiver) == ["READY=1"]


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.ready()


def test_a_dead_socket_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify.ready()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert notify.watchdog_seconds(environment) == seconds
