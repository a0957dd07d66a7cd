"""What runs changed is written down line by line, for root only, in a bounded space."""

import json
from pathlib import Path

import pytest

from deploys.host import record

STEP = {"operation": "nginx", "changes": [{"component": "nginx", "reason": "differs"}]}
RUN = {"run": "1", "who": "alice on desk", "user": "deploy", "revision": "v1", "since": "now"}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "stellwerk" / "runs.jsonl"
    monkeypatch.setattr(record, "RUNS", path)
    return path


def test_every_event_is_a_line_for_root_only(runs: Path) -> None:
    record.begun({**RUN, "pid": 7, "last": "0"})
    record.changed("1", STEP, "then")
    record.changed("1", STEP, "then", error="the disk is full")
    record.ended("1", {"outcome": "failed"})
    lines = [json.loads(line) for line in runs.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begun", "changed", "changed", "ended"]
    assert [line.get("outcome") for line in lines] == [None, "ok", "failed", "failed"]
    assert "pid" not in lines[0]
    assert runs.stat().st_mode & 0o777 == 0o640


def test_its_size_is_bounded_and_the_newest_stay(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "LIMIT_BYTES", 1000)
    for number in range(100):
        record.ended(str(number), {"outcome": "ok"})
    assert {path.name for path in runs.parent.iterdir()} == {"runs.jsonl", "runs.jsonl.1"}
    assert all(path.stat().st_size <= 1000 for path in runs.parent.iterdir())
    assert json.loads(runs.read_text().splitlines()[-1])["run"] == "99"
