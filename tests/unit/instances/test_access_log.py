"""nginx's access log: its lines, and following it while it grows and is rotated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.host.growing_file import GrowingFile
from stellwerk.instances.agent.access_log import Attempt, attempts

UPSTREAM = "frontend_upstream"


def line(addresses: str, statuses: str, status: str = "200") -> str:
    fields = ("1767225600.123", UPSTREAM, addresses, statuses, status, "0.1", "0.1", "GET", "/a")
    return "\t".join(fields) + "\n"


@pytest.mark.parametrize(
    ("addresses", "statuses", "failed"),
    [
        ("192.0.2.1:8401", "200", [("192.0.2.1:8401", False)]),
        ("192.0.2.1:8401", "404", [("192.0.2.1:8401", False)]),
        ("192.0.2.1:8401", "500", [("192.0.2.1:8401", True)]),
        ("192.0.2.1:8401", "-", [("192.0.2.1:8401", True)]),
        ("[fd00::1]:8401", "101", [("[fd00::1]:8401", False)]),
        (
            "192.0.2.1:8401, 192.0.2.2:8402",
            "502, 200",
            [("192.0.2.1:8401", True), ("192.0.2.2:8402", False)],
        ),
        (
            "192.0.2.1:8401 : 192.0.2.2:8402",
            "504 : 200",
            [("192.0.2.1:8401", True), ("192.0.2.2:8402", False)],
        ),
        (UPSTREAM, "502", []),
        ("-", "-", []),
        ("192.0.2.1:8401, 192.0.2.2:8402", "502", []),
    ],
)
def test_each_server_that_was_asked_is_an_attempt(
    addresses: str, statuses: str, failed: list[tuple[str, bool]]
) -> None:
    expected = [Attempt(UPSTREAM, address, problem) for address, problem in failed]
    assert list(attempts(line(addresses, statuses))) == expected


@given(st.text())
def test_no_line_is_too_strange(text: str) -> None:
    list(attempts(text))


def test_only_what_is_written_after_the_opening_is_read_and_only_whole_lines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    log = GrowingFile(path)
    log.open_at_end()
    with path.open("a") as stream:
        stream.write("one\ntw")
        stream.flush()
        assert log.lines() == [b"one"]
        stream.write("o\n")
        stream.flush()
        assert log.lines() == [b"two"]
        assert log.lines() == []


def test_a_rotation_loses_no_line_of_either_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("")
    log = GrowingFile(path)
    log.open_at_end()
    with path.open("a") as old:
        path.rename(tmp_path / "access.log.1")
        path.write_text("")
        old.write("written before nginx opens its log again\n")
        old.flush()
        assert log.lines() == [b"written before nginx opens its log again"]
        assert log.lines() == []
    path.write_text("new\n")
    assert log.lines() == [b"new"]


def test_a_log_that_is_emptied_in_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("a long line of before\n")
    log = GrowingFile(path)
    log.open_at_end()
    path.write_text("new\n")
    assert log.lines() == [b"new"]


def test_a_log_that_is_not_there_yet_is_read_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = GrowingFile(path)
    log.open_at_end()
    assert log.lines() == []
    path.write_text("first\n")
    assert log.lines() == [b"first"]
