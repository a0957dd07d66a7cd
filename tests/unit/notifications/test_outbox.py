"""Claims about the queue on disk."""

from pathlib import Path

import pytest

from stellwerk.notifications.outbox import MOST_MESSAGES, Outbox
from tests.unit.notifications.examples import message


def _headlines(box: Outbox) -> list[str]:
    return [entry.message.headline for entry in box.waiting()]


def test_what_waits_is_still_there_after_a_restart_in_its_order(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "slack")
    for number in range(12):
        box.add(message(str(number)))
    assert _headlines(Outbox(tmp_path / "slack")) == [str(number) for number in range(12)]


def test_what_is_removed_does_not_come_back(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for number in range(3):
        box.add(message(str(number)))
    box.remove_through(box.waiting()[1].number)
    assert _headlines(box) == ["2"]
    assert _headlines(Outbox(tmp_path)) == ["2"]


def test_a_clock_that_is_set_back_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(tmp_path)
    box.add(message("first"))
    monkeypatch.setattr("time.time_ns", lambda: 5)
    box.add(message("second"))
    assert _headlines(Outbox(tmp_path)) == ["first", "second"]


def test_only_so_many_wait_and_the_oldest_go(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for number in range(MOST_MESSAGES + 5):
        box.add(message(str(number)))
    assert len(box) == MOST_MESSAGES
    assert _headlines(box)[0] == "5"
    assert len(list(tmp_path.iterdir())) == MOST_MESSAGES


def test_broken_and_unfinished_files_are_removed_and_keep_nothing_up(tmp_path: Path) -> None:
    Outbox(tmp_path).add(message("whole"))
    (tmp_path / f"{3:020d}.json").write_text("{")
    (tmp_path / f"{4:020d}.new").write_text("")
    assert _headlines(Outbox(tmp_path)) == ["whole"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_takes_nothing_costs_no_message(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("here no folder can be")
    box = Outbox(place)
    box.add(message("the disk is full"))
    assert _headlines(box) == ["the disk is full"]
    box.remove_through(box.waiting()[0].number)
    assert not box
