"""Reports as documents and in a terminal."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.report.build import merged
from stellwerk.metrics.report.document import DocumentError, document, parsed
from stellwerk.metrics.report.model import Problem, Report
from stellwerk.metrics.report.table import table
from stellwerk.terminal.paint import Paint
from tests.unit.metrics.report.examples import (
    CPU,
    ORDERS,
    REQUESTS,
    RESPONSE,
    UP,
    report,
    write,
)
from tests.unit.metrics.report.strategies import reports


@given(reports(2))
def test_a_document_holds_the_whole_report(found: Report) -> None:
    assert parsed(json.loads(json.dumps(document(found), allow_nan=False))) == found


def test_a_trend_without_end_is_not_known_to_programs(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [5e-324] * 60 + [50.0] * 60})
    found = report(tmp_path)
    assert found.lines[0].trend_percent == math.inf
    (line,) = json.loads(json.dumps(document(found), allow_nan=False))["services"]["system"]
    assert line["trend_percent"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"period": "1y"},
        {"until": "noon"},
        {"services": {"shop": [{}]}},
        {"services": None},
        {"hosts": 1},
    ],
)
def test_what_is_no_report_is_refused_with_a_sentence(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(DocumentError, match="not one that this release knows"):
        parsed({**document(report(tmp_path)), **change})


@given(reports(1) | reports(2), st.integers(80, 160))
def test_a_table_fits_the_terminal_whatever_is_in_it(found: Report, width: int) -> None:
    shown = table(found, width, Paint(False))
    assert max(map(len, shown)) <= width
    assert all(line.isprintable() for line in shown)


@given(reports(2))
def test_colour_changes_no_letter(found: Report) -> None:
    coloured = table(found, 80, Paint(True))
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in coloured] == table(found, 80, Paint(False))


def test_a_table_reads_like_this(tmp_path: Path) -> None:
    values = {
        CPU: [40.0] * 60 + [85.0] * 60,
        RESPONSE: [50.0] * 120,
        UP: [1.0] * 119 + [0.0],
    }
    write(tmp_path, values, {REQUESTS: [10.0], ORDERS: [150.0]})
    assert table(report(tmp_path), 80, Paint(False)) == [
        "app-1: 1h until 2025-06-16 12:00 UTC, 1 critical, 1 warning, 5 ok",
        "",
        "   METRIC                  LATEST  ±BASE    AVG  MIN  MAX  P95  TREND  POINTS",
        "shop",
        "!! availability @8501          no  -100%  0.983    0    1    1    -2%      60",
        "   response time @8501 ms      50     0%     50   50   50   50     0%      60",
        "   p50 request ms              10      -     10   10   10   10     0%      60",
        "   p95 request ms              10      -     10   10   10   10     0%      60",
        "   p99 request ms              10      -     10   10   10   10     0%      60",
        "   p95 GET /api/orders ms     150   +50%    150  150  150  150     0%      60",
        "system",
        "!  cpu %                       85  +112%     85   85   85   85  +112%      60",
        "",
        "critical  shop: availability @8501 is no",
        "warning   system: cpu is 85 %; a warning from 80 % on",
        "off       shop: availability @8501 is no, its baseline yes",
        "off       shop: p95 GET /api/orders is 150 ms, 50 % above its baseline of 100 ms",
        "off       system: cpu is 85 %, 112 % above its baseline of 40 %",
    ]


def test_a_table_of_several_hosts_says_where_and_who_is_silent(tmp_path: Path) -> None:
    found = []
    for host in ("lb-1", "lb-2"):
        write(tmp_path / host, {CPU: [96.0] * 10}, {REQUESTS: [10.0]})
        found.append(report(tmp_path / host, host=host))
    silent = Problem("lb-3", "its monitor did not answer in time")
    text = "\n".join(table(merged(found, [silent]), 80, Paint(False)))
    assert re.search(r"p95 request ms +all +10 ", text)
    assert re.search(r"!! cpu % +lb-2 +96 ", text)
    assert "critical  system on lb-1: cpu is 96 %; critical from 95 % on" in text
    assert "unread    lb-3: its monitor did not answer in time" in text
