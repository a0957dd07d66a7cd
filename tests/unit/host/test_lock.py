"""One writer at a time on a host."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploys.host import lock
from deploys.host.command import Failure

HOLD = """
import sys
from pathlib import Path
from deploys.host import lock
lock.LOCK = Path(sys.argv[1])
with lock.host_lock("install"):
    print("held", flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock's file."""
    path = tmp_path / "lock"
    monkeypatch.setattr(lock, "LOCK", path)
    return path


def take_at_once() -> None:
    with lock.host_lock("next", wait_seconds=0):
        pass


def test_a_second_holder_is_told_who_the_first_is() -> None:
    told = rf"process {os.getpid()}: install redis.*run again"
    with lock.host_lock("install redis"), pytest.raises(Failure, match=told):
        take_at_once()


def test_a_second_holder_gets_it_when_the_first_is_done() -> None:
    order: list[str] = []
    first_has_it = threading.Event()

    def first() -> None:
        with lock.host_lock("first"):
            first_has_it.set()
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    first_has_it.wait()
    with lock.host_lock("second"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_failure_gives_the_lock_back() -> None:
    with pytest.raises(ZeroDivisionError), lock.host_lock("fails"):
        raise ZeroDivisionError
    take_at_once()


def test_a_killed_holder_holds_nothing(file: Path) -> None:
    root = Path(lock.__file__).parents[2]
    command = [sys.executable, "-c", HOLD, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Failure, match=f"process {holder.pid}: install"):
            take_at_once()
        holder.kill()
    with lock.host_lock("next", wait_seconds=0):
        assert json.loads(file.read_text())["what"] == "next"


def test_only_root_can_read_who_holds_it(file: Path) -> None:
    with lock.host_lock("install"):
        assert file.stat().st_mode & 0o777 == 0o600
