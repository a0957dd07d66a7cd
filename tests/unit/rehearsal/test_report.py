"""What a rehearsal reports: what was tried, and what should not have happened."""

import json
from dataclasses import replace

from tests.rehearsal.probe import Tried
from tests.rehearsal.report import Breakage, Report, Run

WELL = Breakage(
    "app-1",
    ("apps",),
    alone_in=(),
    serves_without=True,
    back_seconds=7.25,
    doors={"lb-1:nginx": Tried(400, 3, 2.5, frozenset({"answers 503"}))},
    redis_away_seconds=0.1,
    after=Run(3.0, 0),
)
REPORT = Report("inventory", {"app-1": "10.0.0.1"}, (), Run(60.0, 90), Run(3.0, 0), (WELL,))


def test_a_rehearsal_in_which_all_came_back_has_no_problem() -> None:
    assert REPORT.problems == ()
    assert "nothing was left to repair by hand" in REPORT.text()


def test_the_report_has_what_was_tried_in_80_columns() -> None:
    text = REPORT.text()
    assert "app-1 without power, for apps" in text
    assert "3 of 400 failed, away for 2.5 s (answers 503)" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_each_problem_is_named() -> None:
    broken = replace(
        WELL, serves_without=False, back_seconds=None, after=Run(5.0, 0, "the host is full")
    )
    report = replace(REPORT, second=Run(3.0, 2), breakages=(broken,))
    assert len(report.problems) == 4
    assert "the host is full" in report.text()


def test_the_only_host_of_a_group_is_allowed_to_be_missed() -> None:
    alone = replace(WELL, serves_without=False, alone_in=("apps",))
    assert replace(REPORT, breakages=(alone,)).problems == ()


def test_a_first_run_that_fails_is_the_end() -> None:
    report = Report("inventory", {}, (), Run(9.0, 0, "no space left"))
    assert report.problems == ("the first run failed: no space left",)


def test_the_document_is_json() -> None:
    read = json.loads(json.dumps(REPORT.document()))
    assert read["breakages"][0]["doors"]["lb-1:nginx"]["reasons"] == ["answers 503"]
    assert read["problems"] == []
