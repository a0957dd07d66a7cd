"""One run at a time on a host; its lock ends with it, however it ends."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploys.host import record, run_lock
from deploys.host.command import Failure
from tests.lab.waiting import wait_until

ROOT = Path(run_lock.__file__).parents[2]
SECONDS = 20.0
HOLD = """
import json, sys
from pathlib import Path
from deploys.host import record, run_lock
run_lock.RUN_LOCK, record.RUNS = Path(sys.argv[1]), Path(sys.argv[2])
run_lock.LEASE_SECONDS, run_lock.LOOK_SECONDS = map(float, sys.argv[3:])
sys.exit(run_lock.hold(json.load(sys.stdin)))
"""

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The lock's file and the record."""
    lock, runs = tmp_path / "lock", tmp_path / "log" / "runs.jsonl"
    monkeypatch.setattr(run_lock, "RUN_LOCK", lock)
    monkeypatch.setattr(record, "RUNS", runs)
    return lock, runs


@pytest.fixture
def hold(files: tuple[Path, Path]) -> Iterator[Hold]:
    """Start the process that holds the lock for a run."""
    started: list[subprocess.Popen[str]] = []

    def start(
        run: str,
        wait_seconds: float = 0.0,
        lease_seconds: float = 900,
        look_seconds: float = 0.05,
    ) -> subprocess.Popen[str]:
        arguments = [*map(str, (*files, lease_seconds, look_seconds))]
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        about = {"run": run, "who": f"{run} on desk", "revision": "v1"}
        process.stdin.write(json.dumps({**about, "wait_seconds": wait_seconds}))
        process.stdin.close()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def is_held_by(run: str) -> bool:
    return wait_until(lambda: run_lock.state().get("run") == run, SECONDS)


def is_free() -> bool:
    return wait_until(lambda: "run" not in run_lock.state(), SECONDS)


def recorded(files: tuple[Path, Path]) -> list[dict[str, Any]]:
    runs = files[1]
    return [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []


def test_it_says_whose_run_it_is(hold: Hold) -> None:
    hold("one")
    assert is_held_by("one")
    said = run_lock.state()
    assert (said["who"], said["revision"], said["last"]) == ("one on desk", "v1", "")


def test_another_run_is_not_given_it_and_is_told_who_has_it(hold: Hold) -> None:
    hold("one")
    assert is_held_by("one")
    assert hold("two").wait(SECONDS) == 0
    assert run_lock.lease({"run": "two", "starting": True})["who"] == "one on desk"
    with pytest.raises(Failure, match="one on desk has it since"):
        run_lock.require("two")


def test_a_run_that_waits_gets_it_when_the_other_is_over(hold: Hold) -> None:
    hold("one")
    assert is_held_by("one")
    hold("two", wait_seconds=SECONDS)
    run_lock.release({"run": "one", "result": {"outcome": "ok"}})
    assert is_held_by("two")


def test_a_killed_process_holds_nothing(hold: Hold) -> None:
    process = hold("one")
    assert is_held_by("one")
    process.kill()
    assert is_free()
    with pytest.raises(Failure, match="lost the lock"):
        run_lock.require("one")


def test_it_ends_with_the_connection_that_reads_it(hold: Hold) -> None:
    process = hold("one")
    assert is_held_by("one")
    assert process.stdout is not None
    process.stdout.close()
    assert is_free()


def test_it_ends_when_the_run_is_not_heard_of(hold: Hold) -> None:
    hold("one", lease_seconds=0.5)
    assert is_free()


def test_it_lasts_as_long_as_the_run_is_heard_of(hold: Hold, files: tuple[Path, Path]) -> None:
    """A lease that is renewed all the time outlives many leases."""
    process = hold("one", lease_seconds=0.5)
    assert is_held_by("one")
    held: list[bool] = []

    def renewed() -> bool:
        held.append(run_lock.lease({"run": "one", "starting": False}).get("run") == "one")
        return len(held) >= 100

    assert wait_until(renewed, SECONDS)
    assert all(held)
    assert process.poll() is None
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_another_run_does_not_renew_the_lease(hold: Hold) -> None:
    hold("one", lease_seconds=0.5)
    assert is_held_by("one")
    assert wait_until(
        lambda: "run" not in run_lock.lease({"run": "two", "starting": False}), SECONDS
    )


def test_a_run_that_changed_nothing_leaves_no_record(hold: Hold, files: tuple[Path, Path]) -> None:
    hold("one")
    assert is_held_by("one")
    run_lock.release({"run": "one", "result": {"outcome": "ok"}})
    assert is_free()
    assert recorded(files) == []
    assert run_lock.state()["last"] == ""


def change(run: str) -> None:
    run_lock.require(run)
    record.begun(run_lock.first_of_run(run))
    assert run_lock.first_of_run(run) == {}


def test_the_end_of_a_run_is_recorded_with_what_came_of_it(
    hold: Hold, files: tuple[Path, Path]
) -> None:
    hold("one")
    assert is_held_by("one")
    change("one")
    run_lock.release({"run": "one", "result": {"outcome": "failed", "error": "app-1 failed"}})
    begun, ended = recorded(files)
    assert (begun["event"], begun["who"]) == ("begun", "one on desk")
    assert (ended["event"], ended["outcome"], ended["error"]) == (
        "ended",
        "failed",
        "app-1 failed",
    )
    assert run_lock.state() == {"last": "one"}


def test_a_run_whose_connection_is_lost_is_recorded_as_interrupted(
    hold: Hold, files: tuple[Path, Path]
) -> None:
    process = hold("one")
    assert is_held_by("one")
    change("one")
    assert process.stdout is not None
    process.stdout.close()
    assert is_free()
    assert recorded(files)[-1]["outcome"] == "interrupted"


def test_who_changed_the_host_last_is_known_even_if_its_process_was_killed(hold: Hold) -> None:
    process = hold("one")
    assert is_held_by("one")
    change("one")
    process.kill()
    assert is_free()
    assert run_lock.state() == {"last": "one"}
    hold("two")
    assert is_held_by("two")
    assert run_lock.state()["last"] == "one"


def test_a_release_of_another_run_changes_nothing(hold: Hold) -> None:
    process = hold("one")
    assert is_held_by("one")
    run_lock.release({"run": "two", "result": {"outcome": "ok"}})
    assert run_lock.state()["run"] == "one"
    assert process.poll() is None


def test_a_file_of_nothing_is_a_free_lock(files: tuple[Path, Path]) -> None:
    assert run_lock.state() == {"last": ""}
    os.close(os.open(files[0], os.O_CREAT, 0o600))
    assert run_lock.state() == {"last": ""}


def test_who_only_looks_at_the_lock_keeps_no_run_from_it(
    hold: Hold, files: tuple[Path, Path]
) -> None:
    files[0].touch()
    with files[0].open() as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_EX)
        process = hold("one", look_seconds=SECONDS)
        assert wait_until(lambda: is_open_in(process, files[0]), SECONDS)
    assert is_held_by("one")


def is_open_in(process: subprocess.Popen[str], file: Path) -> bool:
    """Whether the process has the file open."""
    descriptors = Path(f"/proc/{process.pid}/fd")
    return any(file.samefile(one) for one in descriptors.iterdir() if one.exists())
