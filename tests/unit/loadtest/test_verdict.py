"""Verdicts on chosen figures."""

from dataclasses import replace

import pytest

from stellwerk.loadtest.check import Check, Group, Outcome
from stellwerk.loadtest.comparison import EarlierRun
from stellwerk.loadtest.tally import DROPPED
from stellwerk.loadtest.verdict import Result, Verdict, judge
from stellwerk.loadtest.watch import Sample

from .records import LABEL, definitions, record

P95 = {"unit": "ms", "p95": {"target": 20, "current": 15}}


def checks(verdict: Verdict, group: Group) -> dict[str, Check]:
    return {check.name: check for check in verdict.checks if check.group is group}


def test_a_run_within_its_targets_is_good() -> None:
    verdict = judge(record(), definitions({LABEL: P95}), [])
    assert verdict.result is Result.GOOD
    check = checks(verdict, Group.BASELINE)[f"{LABEL} p95"]
    assert (check.outcome, check.bound, check.current) == (Outcome.PASSED, 20, 15)
    assert check.measured == pytest.approx(10, rel=0.01)


def test_a_slow_endpoint_fails_and_is_named_with_its_figures() -> None:
    verdict = judge(record(response_ms=30), definitions({LABEL: P95}), [])
    assert verdict.result is Result.FAILED
    (failed,) = verdict.failed
    assert failed.sentence() == f"{LABEL} p95: 30.0 ms, asked is at most 20.0 ms"
    assert failed.deviation_percent == pytest.approx(50, rel=0.02)


def test_the_ramp_up_is_not_judged() -> None:
    slow_start = dict.fromkeys(range(5), 1000.0)
    assert judge(record(slow_ms=slow_start), definitions({LABEL: P95}), []).result is Result.GOOD


def test_an_operation_is_measured_by_the_requests_that_count_for_it() -> None:
    measures = {"calculation": {"unit": "ms", "p50": {"target": 5, "current": 4}}}
    verdict = judge(record(counts_for=("calculation",)), definitions(measures), [])
    assert [check.name for check in verdict.failed] == ["calculation p50"]


@pytest.mark.parametrize(
    ("target", "unit", "outcome"),
    [
        (100, "requests/s", Outcome.PASSED),
        (101, "requests/s", Outcome.NOT_JUDGED),
        (6000, "calls/min", Outcome.PASSED),
        (6001, "calls/min", Outcome.NOT_JUDGED),
        (360_000, "orders/h", Outcome.PASSED),
    ],
)
@pytest.mark.parametrize("statistic", ["sustained", "peak", "value"])
def test_a_throughput_is_judged_where_the_scenario_sends_that_much(
    target: float, unit: str, outcome: Outcome, statistic: str
) -> None:
    measures = {
        "calls": {"unit": unit, "better": "higher", statistic: {"target": target, "current": 1}}
    }
    verdict = judge(record(counts_for=("calls",)), definitions(measures), [])
    assert checks(verdict, Group.BASELINE)[f"calls {statistic}"].outcome is outcome


def test_a_throughput_that_was_not_reached_fails() -> None:
    measures = {
        "calls": {"unit": "calls/s", "better": "higher", "value": {"target": 100, "current": 90}}
    }
    run = record(counts_for=("calls",), rate=50)
    schedule = replace(run.planned.plan.schedule, requests_per_second=100)
    run.planned = replace(run.planned, plan=replace(run.planned.plan, schedule=schedule))
    run.workers[0].started = schedule.total
    assert [check.name for check in judge(run, definitions(measures), []).failed] == ["calls value"]


def test_errors_beyond_the_limit_fail_and_say_which() -> None:
    verdict = judge(record(failures={"HTTP 503": 40}), definitions(), [])
    (failed,) = verdict.failed
    assert failed.name == f"{LABEL} errors"
    assert "40 x HTTP 503" in failed.sentence()


def test_a_success_rate_takes_the_place_of_the_limit_of_errors() -> None:
    rate = {"unit": "percent", "better": "higher", "value": {"target": 90, "current": 90}}
    run = record(counts_for=("success_rate",), failures={"HTTP 503": 100})
    verdict = judge(run, definitions({"success_rate": rate}), [])
    assert verdict.result is Result.GOOD
    assert not checks(verdict, Group.ERRORS)


def test_a_baseline_that_is_not_there_is_said_to_be_missing() -> None:
    verdict = judge(record(counts_for=("speed",)), definitions(), [])
    (check,) = checks(verdict, Group.BASELINE).values()
    assert (check.outcome, check.reason) == (Outcome.NOT_JUDGED, "shop has no such baseline")


def test_dropped_requests_are_failures_of_the_service_and_explained() -> None:
    verdict = judge(record(failures={DROPPED: 500}), definitions(), [])
    assert verdict.result is Result.FAILED
    assert any("500 requests were dropped" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("weak", "sentence"),
    [
        (record(late=40), "2.3 % of the requests started more than 10 ms late"),
        (record(cpu=0.9), "A generator process used 90% of a core"),
    ],
)
def test_a_generator_that_fell_behind_neither_passes_nor_fails_the_service(
    weak: object, sentence: str
) -> None:
    for measures in ({}, {LABEL: {"unit": "ms", "p95": {"target": 1, "current": 1}}}):
        verdict = judge(weak, definitions(measures), [])  # type: ignore[arg-type]
        assert verdict.result is Result.GENERATOR_TOO_WEAK
        assert verdict.weaknesses[0].startswith(sentence)


def test_requests_never_started_make_the_generator_too_weak() -> None:
    run = record()
    run.workers[0].started -= 100
    assert judge(run, definitions(), []).weaknesses == ("100 of 1750 requests were never started.",)


def test_a_machine_out_of_ports_makes_the_generator_too_weak() -> None:
    run = record()
    run.workers[0].own_failures = 3
    verdict = judge(run, definitions(), [])
    assert verdict.result is Result.GENERATOR_TOO_WEAK
    assert verdict.weaknesses[0].startswith("3 connections could not be opened for want of ports")


def test_the_cpu_of_the_ramp_up_does_not_excuse_that_of_the_full_load() -> None:
    run = record(cpu=0.9)
    run.workers[0].beats[:5] = [replace(beat, cpu=0.0) for beat in run.workers[0].beats[:5]]
    assert judge(run, definitions(), []).result is Result.GENERATOR_TOO_WEAK


def test_five_seconds_beyond_the_limit_of_response_time_fail() -> None:
    verdict = judge(record(slow_ms={10: 6000, 11: 6000}), definitions(), [])
    (failed,) = verdict.failed
    assert failed.name == "response time p95 of 5 s"
    assert failed.sentence() == (
        "response time p95 of 5 s: 6,000 ms, over the limit of 5,000 ms at 0:10"
    )


def test_a_host_beyond_its_limit_fails_and_is_named() -> None:
    samples = (Sample(5, "app-1", {"cpu_percent": 50}), Sample(10, "app-1", {"cpu_percent": 95}))
    (failed,) = judge(record(samples=samples), definitions(), []).failed
    assert failed.sentence() == "app-1 CPU: 95.0 %, over the limit of 90.0 % at 0:10"


def test_what_nobody_watched_is_not_judged_and_said() -> None:
    run = record()
    run.no_hosts = "inventory: there is no such inventory"
    verdict = judge(run, definitions(), [])
    limits = checks(verdict, Group.LIMIT)
    for name in ("CPU highest", "memory highest"):
        assert limits[name].outcome is Outcome.NOT_JUDGED
        assert limits[name].measured is None
    assert verdict.result is Result.GOOD
    (note,) = [note for note in verdict.notes if "CPU" in note]
    assert note == (
        "CPU and memory of the hosts were not measured: inventory: there is no such inventory."
    )


def test_a_run_too_short_for_cpu_says_so() -> None:
    verdict = judge(record(samples=(Sample(0, "app-1", {"memory_percent": 5}),)), definitions(), [])
    assert "CPU was not measured: it takes two readings, and the run had one." in verdict.notes


def silent(source: str, *seconds: int, problem: str = "no answer within 2 s") -> tuple[Sample, ...]:
    return tuple(Sample(second, source, {}, problem) for second in seconds)


def test_hosts_that_never_answered_are_not_judged_and_said_with_the_reason() -> None:
    samples = (
        *silent("app-1", 0, 5),
        *silent("app-2", 0, 5),
        *silent("db-1", 0, 5, problem="Permission denied (publickey)"),
        Sample(5, "lb-1", {"cpu_percent": 5, "memory_percent": 5}),
    )
    verdict = judge(record(samples=samples), definitions(), [])
    assert verdict.result is Result.GOOD
    check = checks(verdict, Group.LIMIT)["app-1 CPU and memory"]
    assert (check.outcome, check.measured) == (Outcome.NOT_JUDGED, None)
    assert check.reason == "not measured: no answer within 2 s"
    assert [note for note in verdict.notes if "Not measured" in note] == [
        "Not measured: app-1, app-2: no answer within 2 s.",
        "Not measured: db-1: Permission denied (publickey).",
    ]


def test_a_source_that_fell_silent_cannot_vouch_for_its_limits() -> None:
    samples = (Sample(0, "app-1", {"memory_percent": 5}), *silent("app-1", 5, 10))
    (failed,) = judge(record(samples=samples), definitions(), []).failed
    assert failed.sentence() == (
        "app-1 answers: 33.3 %, asked is at least 50.0 %"
        " (it answered 1 of 3 times, last: no answer within 2 s)"
    )


def test_a_source_that_was_silent_for_a_while_is_noted() -> None:
    answered = (Sample(second, "app-1", {"cpu_percent": 5}) for second in (0, 5, 15))
    verdict = judge(record(samples=(*answered, *silent("app-1", 10))), definitions(), [])
    assert verdict.result is Result.GOOD
    assert "app-1 did not answer 1 of 4 times, first at 0:10: no answer within 2 s." in (
        verdict.notes
    )


def earlier(*p50: float) -> list[EarlierRun]:
    return [EarlierRun({LABEL: {"p50": value, "p95": None}}) for value in p50]


@pytest.mark.parametrize(
    ("past", "outcome"),
    [
        (earlier(10), Outcome.PASSED),
        (earlier(8.6), Outcome.PASSED),  # 16 % worse
        (earlier(8), Outcome.FAILED),  # 25 % worse
        (earlier(8, 12, 12), Outcome.PASSED),  # the median counts
    ],
)
def test_a_run_more_than_a_fifth_worse_than_earlier_ones_fails(
    past: list[EarlierRun], outcome: Outcome
) -> None:
    verdict = judge(record(), definitions(), past)
    assert checks(verdict, Group.COMPARISON)[f"{LABEL} p50"].outcome is outcome


def test_times_within_a_millisecond_are_alike() -> None:
    verdict = judge(record(response_ms=1.5), definitions(), earlier(0.8))
    assert verdict.result is Result.GOOD


def test_a_quantile_of_too_few_requests_is_not_compared() -> None:
    past = [EarlierRun({LABEL: {"p99": 1.0}})]
    check = checks(judge(record(rate=10), definitions(), past), Group.COMPARISON)[f"{LABEL} p99"]
    assert check.outcome is Outcome.NOT_JUDGED
    assert check.reason == "150 requests are too few to compare it"


def test_an_interrupted_run_is_judged_by_what_there_is() -> None:
    run = record(response_ms=30)
    run.interrupted, run.elapsed = True, 12.0
    verdict = judge(run, definitions({LABEL: P95}), [])
    assert verdict.result is Result.FAILED
    assert verdict.notes[0].startswith("Interrupted after 12 of 20 s")


def test_a_run_without_any_answer_has_failed() -> None:
    run = record(rate=100)
    run.recording = type(run.recording)()
    assert judge(run, definitions({LABEL: P95}), []).result is Result.FAILED
