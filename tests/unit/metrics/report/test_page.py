"""Reports as pages."""

from pathlib import Path

from hypothesis import given, settings

from stellwerk.metrics.report.build import merged
from stellwerk.metrics.report.model import Problem, Report
from stellwerk.metrics.report.page import page
from stellwerk.metrics.report.question import Question
from stellwerk.terminal.paint import one_line
from tests.unit.metrics.report.examples import CPU, ORDERS, REQUESTS, UP, report, write
from tests.unit.metrics.report.strategies import reports
from tests.unit.pages.elements import Elements


@settings(max_examples=50)
@given(reports(1) | reports(2))
def test_a_page_is_whole_and_needs_nothing_else_whatever_is_in_it(found: Report) -> None:
    elements = Elements(page(found))
    elements.assert_needs_nothing_else()
    assert len(elements.rows) == (1 + len(found.services) + len(found.lines) if found.lines else 0)
    groups = [row[0] for row in elements.rows if len(row) == 1]
    assert groups == [one_line(service) for service in found.services]


def test_a_page_says_of_every_line_what_the_table_says(tmp_path: Path) -> None:
    values = {CPU: [40.0] * 60 + [85.0] * 60, UP: [1.0] * 119 + [0.0]}
    write(tmp_path, values, {REQUESTS: [10.0], ORDERS: [150.0]})
    text = page(report(tmp_path))
    assert Elements(text).rows == [
        [
            *("Metric", "Status", "Latest", "Baseline", "Deviation", "Average", "Minimum"),
            *("Maximum", "P95", "Trend", "Points", "Course"),
        ],
        ["shop"],
        [
            *("availability @8501", "critical", "no", "yes", "-100%"),
            *("0.983", "0", "1", "1", "-2%", "60", ""),
        ],
        ["p50 request\xa0ms", "ok", "10", "-", "-", *["10"] * 4, "0%", "60", ""],
        ["p95 request\xa0ms", "ok", "10", "-", "-", *["10"] * 4, "0%", "60", ""],
        ["p99 request\xa0ms", "ok", "10", "-", "-", *["10"] * 4, "0%", "60", ""],
        ["p95 GET /api/orders\xa0ms", "ok", "150", "100", "+50%", *["150"] * 4, "0%", "60", ""],
        ["system"],
        ["cpu\xa0%", "warning", "85", "40", "+112%", *["85"] * 4, "+112%", "60", ""],
    ]
    assert "<p>1 critical, 1 warning, 4 ok</p>" in text
    assert "<li>system: cpu is 85\xa0%; a warning from 80\xa0% on</li>" in text
    assert "<h2>More than 20 % off the baseline</h2>" in text
    assert text.count("<svg") == 2


def test_cells_have_headings_for_who_cannot_see_the_table(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [50.0] * 5})
    elements = Elements(page(report(tmp_path)))
    scopes = [value for name, value in elements.attributes if name == "scope"]
    assert scopes == [*["col"] * 12, "rowgroup", "row"]
    assert elements.seen.count("caption") == 1


def test_a_page_of_several_hosts_says_where_and_who_is_silent(tmp_path: Path) -> None:
    found = []
    for host in ("lb-1", "lb-2"):
        write(tmp_path / host, {CPU: [20.0] * 10}, {REQUESTS: [10.0]})
        found.append(report(tmp_path / host, host=host))
    silent = Problem("lb-3", "its monitor did not answer in time")
    text = page(merged(found, [silent]))
    names = [row[0] for row in Elements(text).rows]
    assert names[-2:] == ["cpu\xa0%lb-1", "cpu\xa0%lb-2"]
    assert "p95 request\xa0msall hosts" in names
    assert "<li>lb-3: its monitor did not answer in time</li>" in text
    assert '<header class="weak">' in text


def test_a_page_of_nothing_says_so(tmp_path: Path) -> None:
    text = page(report(tmp_path / "none"))
    assert "Nothing was measured in this time." in text
    assert "<table>" not in text


def test_only_where_a_monitor_answers_it_a_page_leads_to_other_periods(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert "href" not in page(found)
    links = [value for name, value in Elements(page(found, Question("1h"))).attributes
             if name == "href"]  # fmt: skip
    assert links == ["?period=24h&all=0", "?period=7d&all=0", "?period=1h&all=1"]
    of_shop = Elements(page(found, Question("1h", "a&b"))).attributes
    assert ("href", "?period=7d&service=a%26b&all=0") in of_shop
    assert ("href", "?period=1h&all=0") in of_shop
