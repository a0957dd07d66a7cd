"""The record of runs, as hosts wrote it, read back for people and programs."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from deploys.host import record
from stellwerk.audit import command
from stellwerk.audit.model import Outcome, Run, document, merged, parse, read_runs
from stellwerk.audit.text import WIDTH, runs_text
from stellwerk.instances import access
from stellwerk.remote import Answer
from stellwerk.terminal.paint import Paint

PLAIN = Paint(False)
ABOUT = {"who": "alice on desk", "user": "deploy", "revision": "v1-dirty"}
CHANGE = {"component": "nginx", "reason": "differs", "details": ["a"], "units": ["reload nginx"]}


def begun(run: str, at: str = "2026-01-31T12:00:00Z") -> dict[str, Any]:
    return {"run": run, "event": "begun", "at": at, **ABOUT}


def changed(run: str, error: str = "", at: str = "2026-01-31T12:00:01Z") -> dict[str, Any]:
    step = {"operation": "nginx", "changes": [CHANGE], "at": at}
    return {"run": run, "event": "changed", **step, **({"error": error} if error else {})}


def ended(run: str, outcome: str = "ok", at: str = "2026-01-31T12:00:05Z") -> dict[str, Any]:
    return {"run": run, "event": "ended", "at": at, "outcome": outcome}


def read(*entries: dict[str, Any], host: str = "lb-1", running: str = "") -> tuple[Run, ...]:
    return read_runs([json.dumps(one) for one in entries], host, running=running)


def test_what_the_tools_write_is_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs.jsonl")
    record.begun({"run": "1", "since": "2026-01-31T12:00:00Z", **ABOUT})
    record.changed("1", {"operation": "nginx", "changes": [CHANGE]}, "then")
    record.changed("1", {"operation": "agent", "changes": [CHANGE]}, "then", error="no")
    record.ended("1", {"outcome": "failed", "error": "lb-1 failed"})
    (run,) = read_runs((tmp_path / "runs.jsonl").read_text().splitlines(), "lb-1")
    assert (run.who, run.revision, run.users) == (
        "alice on desk",
        "v1-dirty",
        {"lb-1": "deploy"},
    )
    assert (run.outcome, run.error) == (Outcome.FAILED, "lb-1 failed")
    assert [(step.operation, step.error) for step in run.steps] == [("nginx", ""), ("agent", "no")]


def test_a_run_without_an_end_is_running_or_unknown() -> None:
    assert read(begun("1"), changed("1"))[0].outcome is Outcome.UNKNOWN
    assert read(begun("1"), changed("1"), running="1")[0].outcome is Outcome.RUNNING


def test_lines_that_are_none_are_passed_over() -> None:
    lines = [json.dumps(begun("1")), "{torn", "7", json.dumps(ended("other"))]
    assert [run.run for run in read_runs(lines, "lb-1")] == ["1"]


def test_a_run_on_several_hosts_is_one_with_the_worst_outcome() -> None:
    first = read(begun("1"), changed("1"), ended("1"), host="lb-1")
    second = read(begun("1"), changed("1", "boom"), ended("1", "failed"), host="lb-2")
    later = read(begun("2", "2026-02-01T00:00:00Z"), host="lb-1")
    one, two = merged([*later, *first, *second])
    assert (one.run, one.outcome, one.hosts) == ("1", Outcome.FAILED, ("lb-1", "lb-2"))
    assert len(one.steps) == 2
    assert two.run == "2"


entries = st.lists(
    st.builds(
        lambda kind, run, text: {**kind(run), "who": text, "error": text},
        st.sampled_from([begun, changed, ended]),
        st.sampled_from("123"),
        st.text(),
    )
)


@given(entries)
def test_a_run_is_the_same_after_json(found: Iterable[dict[str, Any]]) -> None:
    for run in read(*found):
        assert parse(json.loads(json.dumps(document(run)))) == run


@given(entries)
def test_text_is_within_its_columns_and_steers_no_terminal(found: Iterable[dict[str, Any]]) -> None:
    text = runs_text(read(*found), PLAIN)
    assert all(line.isprintable() for line in text)
    assert all(len(line) <= WIDTH for line in text if line.startswith("   "))


def test_hosts_that_did_the_same_are_named_in_one_line() -> None:
    runs = merged(
        run
        for host in ("lb-1", "lb-2")
        for run in read(begun("1"), changed("1"), ended("1"), host=host)
    )
    assert runs_text(runs, PLAIN) == [
        "2026-01-31 12:00:00 UTC  ok in 5s  alice on desk, revision v1-dirty",
        "  run 1 as deploy on lb-1, lb-2",
        "  nginx: differs [reload nginx] (lb-1, lb-2)",
        "    a",
    ]


@pytest.fixture
def on_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of the host that the command runs on."""
    monkeypatch.setattr(access, "is_host", lambda: True)
    monkeypatch.setattr(command, "RECORD", tmp_path / "runs.jsonl")
    monkeypatch.setattr(command, "LOCK", tmp_path / "lock")
    return tmp_path / "runs.jsonl"


def test_on_a_host_its_own_record_is_shown_newest_last(on_a_host: Path) -> None:
    rows = [json.dumps(one) for n in "123" for one in (begun(n), changed(n), ended(n))]
    on_a_host.with_name("runs.jsonl.1").write_text("\n".join(rows[:3]) + "\n")
    on_a_host.write_text("\n".join(rows[3:]) + "\n")
    done = CliRunner().invoke(command.audit, ["--json", "-n", "2"])
    assert done.exit_code == 0, done.output
    assert [run["run"] for run in json.loads(done.output)] == ["2", "3"]


def test_a_host_that_was_never_changed_says_so(on_a_host: Path) -> None:
    assert not on_a_host.exists()
    done = CliRunner().invoke(command.audit)
    assert (done.exit_code, done.output) == (0, "No run has changed anything here yet.\n")


def test_on_the_control_machine_all_hosts_are_asked_and_silent_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = tmp_path / "inventory"
    named = [
        (name, {"address": f"192.0.2.{n}"}) for n, name in enumerate(("app-1", "app-2", "db-1"))
    ]
    inventory.write_text(f"apps = {named[:2]!r}\ndatabases = {named[2:]!r}\n")
    (tmp_path / "group_data").mkdir()
    said = json.dumps([document(run) for run in read(begun("1"), ended("1"), host="whatever")])
    answers = {
        "app-1": Answer(said, ""),
        "app-2": Answer(said, ""),
        "db-1": Answer("", "Stellwerk is not installed there; deploy to it first"),
    }
    monkeypatch.setattr(command, "ask_hosts", lambda *_: answers)
    done = CliRunner().invoke(command.audit, ["--inventory", str(inventory)])
    assert done.exit_code == 1, done.output
    assert "run 1 as deploy on app-1, app-2" in done.output
    assert "db-1: Stellwerk is not installed there" in done.output
