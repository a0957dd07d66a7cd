"""What a verdict looks like: for terminals, programs, CI servers and browsers."""

import errno
import json
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from stellwerk.loadtest.document import conditions, document
from stellwerk.loadtest.files import History, ReportError, check_writable, write_report
from stellwerk.loadtest.junit import junit
from stellwerk.loadtest.page import page
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.table import WIDTH, table
from stellwerk.loadtest.verdict import Verdict, judge
from stellwerk.loadtest.watch import Sample
from tests.unit.pages.elements import Elements

from .records import LABEL, definitions, record

P95 = {"unit": "ms", "p95": {"target": 20, "current": 15}}
SAMPLES = tuple(
    Sample(second, source, {"cpu_percent": 50.0 + second, "memory_percent": 40.0})
    for second in (5, 10, 15)
    for source in ("http://app-1.a-rather-long-name.example:9100/health", "this machine")
)


def failed_run() -> tuple[RunRecord, Verdict]:
    run = record(
        response_ms=30, failures={"<b>odd</b>\x00 & end": 40}, samples=SAMPLES, counts_for=("gone",)
    )
    return run, judge(run, definitions({LABEL: P95}), [])


def test_the_table_fits_a_terminal_and_marks_what_failed() -> None:
    lines = table(*failed_run()).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[0] == "normal_load: FAILED"
    assert next(line.split()[2:] for line in lines if line.startswith(LABEL)) == [
        *("30.0", "30.0!", "30.0"),
        "100",
    ]
    assert any(line.startswith(f"FAILED  {LABEL} p95: 30.0 ms") for line in lines)


def test_junit_has_a_case_for_each_check() -> None:
    run, verdict = failed_run()
    suite = ElementTree.fromstring(junit(run, verdict))
    assert suite.get("tests") == str(len(suite.findall("testcase"))) == str(1 + len(verdict.checks))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == "2"
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))


def test_junit_calls_a_weak_generator_an_error() -> None:
    run = record(cpu=0.95)
    suite = ElementTree.fromstring(junit(run, judge(run, definitions(), [])))
    assert suite.get("errors") == "1"
    (error,) = suite.findall("testcase[@classname='generator']/error")
    assert "95%" in error.get("message", "")


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    text = page(*failed_run())
    elements = Elements(text)
    elements.assert_needs_nothing_else()
    assert "url(" not in text
    assert "@import" not in text
    assert elements.seen.count("figure") == 6


def test_each_host_is_a_line_of_a_plot_however_many_there_are() -> None:
    hosts = [f"app-{number}" for number in range(1, 9)]
    samples = tuple(
        Sample(second, host, {"cpu_percent": 10.0, "memory_percent": 20.0})
        for second in (5, 10)
        for host in hosts
    )
    run = record(samples=(*samples, Sample(5, "db-1", {}, "no route")))
    text = page(run, judge(run, definitions(), []))
    for title in ("CPU, 1 of 2", "CPU, 2 of 2", "Memory, 1 of 2", "Memory, 2 of 2"):
        assert title in text
    for host in hosts:
        assert text.count(f"</svg>{host}</li>") == 2
    assert "Not measured: db-1: no route." in text


def test_the_table_tells_the_figures_of_a_long_name_apart() -> None:
    lines = table(*failed_run()).splitlines()
    for ending in ("… CPU", "… memory"):
        (line,) = [line for line in lines if ending in line]
        assert line.startswith("http://app-1.a-rat")


def test_what_a_server_says_cannot_become_markup() -> None:
    text = page(*failed_run())
    assert "<b>" not in text
    assert "&lt;b&gt;odd&lt;/b&gt;" in text


def test_a_page_of_a_run_without_requests_is_whole_as_well() -> None:
    run = record()
    run.recording = type(run.recording)()
    run.elapsed = 0.0
    verdict = judge(run, definitions({LABEL: P95}), [])
    assert Elements(page(run, verdict)).open == []
    assert table(run, verdict).startswith("normal_load: FAILED")
    json.dumps(document(run, verdict))


def test_a_long_run_is_plotted_in_some_hundred_points() -> None:
    run = record(rate=1, seconds=1000, ramp_up=0)
    values = document(run, judge(run, definitions(), []))
    assert len(values["over_time"]) <= 300
    assert sum(4 * point["planned_per_second"] for point in values["over_time"]) == 1000


def test_the_document_says_it_all_as_json() -> None:
    values = json.loads(json.dumps(document(*failed_run())))
    assert (values["result"], values["exit_code"]) == ("failed", 1)
    (endpoint,) = values["endpoints"]
    assert endpoint["response_ms"]["p95"] == pytest.approx(30, rel=0.01)
    assert endpoint["failures"] == {"<b>odd</b>\x00 & end": 40}
    (p95,) = [check for check in values["checks"] if check["statistic"] == "p95"]
    assert (p95["bound"], p95["current"], p95["outcome"]) == (20, 15, "failed")


def _keep(history: History, run: RunRecord) -> None:
    verdict = judge(run, definitions({LABEL: P95}), [])
    text = json.dumps(document(run, verdict))
    history.add(run.planned.scenario, run.started_at, text)


def test_good_runs_of_the_same_kind_are_what_later_ones_are_compared_with(tmp_path: Path) -> None:
    history = History(tmp_path / "runs")
    history.prepare()
    interrupted = record(response_ms=12)
    interrupted.interrupted = True
    for run in (record(response_ms=10), record(response_ms=30), record(rate=50), interrupted):
        _keep(history, run)
    (earlier,) = history.earlier(conditions(record().planned), runs=5)
    assert earlier.times[LABEL]["p50"] == pytest.approx(10, rel=0.01)


def test_only_the_newest_runs_are_compared_with(tmp_path: Path) -> None:
    history = History(tmp_path)
    for response_ms in (10, 11, 12):
        _keep(history, record(response_ms=response_ms))
    newest = history.earlier(conditions(record().planned), runs=2)
    assert [round(run.times[LABEL]["p50"] or 0) for run in newest] == [12, 11]


def test_a_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "normal_load-1.json").write_text("[]")
    with pytest.raises(ReportError, match=r"normal_load-1\.json: is not the report of a load test"):
        History(tmp_path).earlier(conditions(record().planned), runs=5)


def test_a_full_disk_leaves_the_old_report_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    report = tmp_path / "report.html"
    write_report(report, "old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ReportError) as caught:
        write_report(report, "new")
    assert str(caught.value) == f"{report}: the report was not written: No space left on device"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("report.html", "old")
    ]


@pytest.mark.parametrize(
    ("name", "problem"), [("", "is a folder"), ("no/report.html", "there is no folder")]
)
def test_a_report_that_could_not_be_written_is_said_before_the_run(
    tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(ReportError, match=problem):
        check_writable(tmp_path / name)
