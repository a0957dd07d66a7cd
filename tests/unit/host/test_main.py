"""A command changes something only for the run that holds the lock, and is recorded."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deploys.host import lock, main, record, run_lock
from deploys.host.command import Failure


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of a host whose lock run 1 holds."""
    monkeypatch.setattr(lock, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(record, "RUNS", tmp_path / "log" / "runs.jsonl")
    monkeypatch.setattr(run_lock, "RUN_LOCK", tmp_path / "run-lock")
    held = {"run": "1", "who": "alice", "user": "deploy", "revision": "v1", "since": "noon"}
    monkeypatch.setattr(run_lock, "state", lambda: held)
    (tmp_path / "run-lock").write_text(json.dumps(held))
    return tmp_path / "log" / "runs.jsonl"


def call(monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]) -> int:
    monkeypatch.setattr(sys, "argv", ["host", "install"])
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(document)))
    return main.main()


def request(run: str) -> dict[str, Any]:
    changes = [{"component": "nginx", "reason": "differs", "units": []}]
    return {"run": run, "step": {"operation": "nginx", "changes": changes}, "secret": "planted"}


def entries(runs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in runs.read_text().splitlines()]


def test_every_change_of_a_run_is_recorded_without_what_it_carries(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[dict[str, Any]] = []
    monkeypatch.setitem(main.CHANGES, "install", done.append)
    assert call(monkeypatch, request("1")) == 0
    assert call(monkeypatch, request("1")) == 0
    assert len(done) == 2
    assert [one["event"] for one in entries(runs)] == ["begun", "changed", "changed"]
    assert "planted" not in runs.read_text()


def test_a_change_that_fails_is_recorded_with_its_sentence(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise Failure("nginx: refused", "its own words")

    monkeypatch.setitem(main.CHANGES, "install", fail)
    assert call(monkeypatch, request("1")) == 1
    assert entries(runs)[-1]["outcome"] == "failed"
    assert entries(runs)[-1]["error"] == "nginx: refused"
    assert "its own words\nnginx: refused" in capsys.readouterr().err


def test_a_run_that_has_lost_the_lock_changes_nothing(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[dict[str, Any]] = []
    monkeypatch.setitem(main.CHANGES, "install", done.append)
    assert call(monkeypatch, request("2")) == 1
    assert done == []
    assert not runs.exists()
    assert "lost the lock of the host (alice has it since noon)" in capsys.readouterr().err


def test_what_was_done_before_the_tools_were_there_is_recorded(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["host", "record", json.dumps(request("1"))])
    assert main.main() == 0
    assert [one["event"] for one in entries(runs)] == ["begun", "changed"]
