"""What reports say of histories."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.history.rows import Points
from stellwerk.metrics.model import Status
from stellwerk.metrics.report.build import merged
from stellwerk.metrics.report.figures import Figures, exact_quantile
from stellwerk.metrics.report.model import Line, Problem, Report
from stellwerk.metrics.report.question import Question, QuestionError
from tests.unit.metrics.report.examples import (
    CPU,
    HOUR,
    LOAD,
    NOON,
    ORDERS,
    REQUESTS,
    RESPONSE,
    SERVICE,
    UP,
    report,
    write,
)


def line_of(found: Report, key: str, share: float | None = None) -> Line:
    (line,) = (one for one in found.lines if one.series.key == key and one.share == share)
    return line


def test_a_line_has_the_figures_of_its_period_and_how_it_stands(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [*range(40, 99), 98]})
    line = line_of(report(tmp_path), CPU.key)
    figures = line.figures
    assert (figures.points, figures.latest) == (60, 98)
    assert (figures.lowest, figures.highest, figures.p95) == (40, 98, 96)
    assert figures.average == pytest.approx(sum([*range(40, 99), 98]) / 60)
    assert line.status is Status.CRITICAL
    assert line.deviation_percent == pytest.approx(145)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_are_exact(values: list[float], share: float) -> None:
    found = exact_quantile(values, share)
    assert found in values
    not_above = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert below < max(1, share * len(values)) <= not_above or share * len(values) <= 1


def test_a_value_that_is_no_longer_measured_is_no_latest_one(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [50.0] * 30}, end=NOON - HOUR / 2)
    line = line_of(report(tmp_path), CPU.key)
    assert (line.figures.latest, line.status, line.deviation_percent) == (None, None, None)
    assert line.figures.average == 50


def test_sizes_that_are_seldom_looked_at_are_still_the_latest() -> None:
    times = [round(1000 * (NOON - 300 * place)) for place in range(12, 0, -1)]
    found = Figures.of(Points(times, [1.0] * 12), NOON, 15)
    assert found is not None
    assert found.latest == 1


def test_the_trend_compares_with_the_period_before(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [40.0] * 60 + [50.0] * 60})
    assert line_of(report(tmp_path), CPU.key).trend_percent == pytest.approx(25)


def test_too_little_of_the_period_before_is_no_trend(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [40.0] * 29 + [50.0] * 60})
    assert line_of(report(tmp_path), CPU.key).trend_percent is None


def test_what_is_neither_judged_nor_has_a_baseline_is_left_out_unless_asked_for(
    tmp_path: Path,
) -> None:
    write(tmp_path, {CPU: [1.0] * 5, LOAD: [1.0] * 5, RESPONSE: [1.0] * 5})
    assert [one.series for one in report(tmp_path).lines] == [RESPONSE, CPU]
    of_service = report(tmp_path, Question("1h", "system"))
    assert [one.series for one in of_service.lines] == [CPU, LOAD]
    everything = report(tmp_path, Question("1h", everything=True))
    assert [one.series for one in everything.lines] == [RESPONSE, CPU, LOAD]


def test_percentiles_of_requests_stand_against_the_baselines_of_their_endpoints(
    tmp_path: Path,
) -> None:
    durations = list(range(1, 101))
    write(tmp_path, {CPU: [1.0] * 60}, {REQUESTS: durations, ORDERS: [150] * 10})
    found = report(tmp_path)
    p95 = line_of(found, REQUESTS.key, 0.95)
    assert p95.figures.latest == pytest.approx(95, rel=0.01)
    assert p95.figures.points == 60 * 100
    assert p95.level == pytest.approx(95, rel=0.01)
    orders = line_of(found, ORDERS.key, 0.95)
    assert orders.deviation_percent == pytest.approx(50, abs=1)
    assert [one.share for one in found.lines if one.series == ORDERS] == [0.95]
    assert orders in found.deviating()


def test_counts_are_of_the_latest_values(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [10.0] * 4 + [85.0], RESPONSE: [2000.0] * 5, UP: [1.0] * 5})
    found = report(tmp_path)
    assert found.counts == {Status.OK: 1, Status.WARNING: 1, Status.CRITICAL: 1}
    assert [one.series for one in found.with_status(Status.CRITICAL)] == [RESPONSE]


def test_a_value_better_than_its_baseline_deviates_and_is_not_worse(tmp_path: Path) -> None:
    write(tmp_path, {RESPONSE: [5.0] * 5, CPU: [41.0] * 5})
    found = report(tmp_path)
    (line,) = found.deviating()
    assert (line.series, line.is_worse) == (RESPONSE, False)


def test_a_damaged_day_is_a_problem_and_the_rest_is_reported(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [50.0] * 60 * 24})
    day = min(tmp_path.glob("20*.sqlite"))
    day.write_bytes(b"\0" * 4096)
    found = report(tmp_path, Question("24h"))
    assert line_of(found, CPU.key).figures.points >= 12 * 60
    (problem,) = found.problems
    assert (problem.host, day.name in problem.sentence) == ("app-1", True)


def test_a_host_without_a_history_has_an_empty_report(tmp_path: Path) -> None:
    assert list(report(tmp_path / "none").lines) == []


def several(folder: Path, durations: Sequence[Sequence[float]]) -> list[Report]:
    """Reports of hosts, each of which saw other requests of the same service."""
    reports = []
    for place, some in enumerate(durations, start=1):
        write(folder / f"lb-{place}", {CPU: [50.0] * 10}, {REQUESTS: some})
        reports.append(report(folder / f"lb-{place}", host=f"lb-{place}"))
    return reports


def test_requests_of_several_balancers_have_the_percentiles_of_all_of_them(
    tmp_path: Path,
) -> None:
    some, others = list(range(1, 51)), list(range(51, 101))
    found = merged(several(tmp_path, [some, others]))
    p95 = line_of(found, REQUESTS.key, 0.95)
    assert p95.host == ""
    assert p95.level == pytest.approx(95, rel=0.01)
    assert p95.figures.points == 10 * 100
    assert [one.host for one in found.lines if one.series == CPU] == ["lb-1", "lb-2"]


def test_the_order_of_hosts_does_not_change_a_percentile(tmp_path: Path) -> None:
    reports = several(tmp_path, [[1, 2, 3], [100, 200], [7]])
    levels = {
        line_of(merged(order), REQUESTS.key, 0.95).level
        for order in itertools.permutations(reports)
    }
    assert len(levels) == 1


def test_hosts_that_did_not_answer_are_named(tmp_path: Path) -> None:
    silent = Problem("lb-3", "its monitor did not answer in time")
    assert merged(several(tmp_path, [[1], [2]]), [silent]).problems == [silent]


def test_a_question_is_the_same_as_a_query() -> None:
    asked = Question("7d", SERVICE, everything=True)
    assert asked.query == "period=7d&service=shop&all=1"
    pairs = dict(pair.split("=") for pair in asked.query.split("&"))
    assert Question.of_query(pairs) == asked
    assert Question.of_query({}) == Question("24h")


@pytest.mark.parametrize("query", [{"period": "1y"}, {"perod": "1h"}])
def test_what_nobody_can_answer_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(QuestionError, match=r"there are|expected one of"):
        Question.of_query(query)
