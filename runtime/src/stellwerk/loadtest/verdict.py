"""The verdict on a run: every check, and the exit code. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from stellwerk.loadtest.baseline_checks import (
    baseline_checks,
    endpoint_figures,
    error_checks,
    unmeasured,
)
from stellwerk.loadtest.check import Check, Outcome, clock
from stellwerk.loadtest.comparison import EarlierRun, comparison_checks
from stellwerk.loadtest.endpoint import EndpointFigures
from stellwerk.loadtest.limit_checks import limit_checks, silence, was_measured
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.source import Definitions
from stellwerk.loadtest.tally import DROPPED
from stellwerk.loadtest.watch import not_measured
from stellwerk.loadtest.weakness import weaknesses


class Result(IntEnum):
    """What a run ends with; the values are exit codes."""

    GOOD = 0
    FAILED = 1
    GENERATOR_TOO_WEAK = 3

    @property
    def words(self) -> str:
        """For a person."""
        return self.name.replace("_", " ").lower()


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run."""

    result: Result
    endpoints: tuple[EndpointFigures, ...]
    checks: tuple[Check, ...]
    weaknesses: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.outcome is Outcome.FAILED)


def judge(record: RunRecord, definitions: Definitions, earlier: Sequence[EarlierRun]) -> Verdict:
    """The verdict on a run that has ended or was interrupted.

    A generator that fell behind neither passes nor fails the service.
    """
    loadtest, baselines = definitions.loadtest, definitions.baselines
    endpoints = endpoint_figures(record, baselines)
    checks = (
        *baseline_checks(record, baselines, endpoints),
        *error_checks(record, baselines, endpoints, loadtest.limits.error_percent),
        *limit_checks(record, loadtest.limits, loadtest.sample_interval_seconds),
        *comparison_checks(endpoints, earlier, loadtest.comparison),
    )
    found = tuple(weaknesses(record))
    failed = any(check.outcome is Outcome.FAILED for check in checks)
    result = Result.GENERATOR_TOO_WEAK if found else Result.FAILED if failed else Result.GOOD
    return Verdict(result, tuple(endpoints), checks, found, tuple(_notes(record, definitions)))


def _notes(record: RunRecord, definitions: Definitions) -> list[str]:
    window, schedule = record.window, record.planned.plan.schedule
    notes = []
    if record.interrupted:
        notes.append(
            f"Interrupted after {record.elapsed:.0f} of {schedule.duration:.0f} s:"
            " the verdict is about what was measured until then."
        )
    if schedule.ramp_up and window.seconds.start == 0:
        notes.append("The full load was not reached: the ramp-up is judged.")
    dropped = record.judged().failures[DROPPED]
    if dropped:
        notes.append(
            f"{dropped} requests were dropped after waiting {record.planned.plan.longest_wait:g} s,"
            f" as all {record.planned.plan.users} users were waiting for answers: the service is"
            " too slow for this load, or the scenario has too few users."
        )
    repeated = sum(worker.repeated for worker in record.workers)
    if repeated:
        notes.append(
            f"{repeated} requests were sent a second time, as the server had closed their idle"
            " connection."
        )
    notes += _watch_notes(record)
    for service, names in unmeasured(record, definitions.baselines).items():
        notes.append(f"Baselines of {service} that this run does not measure: {', '.join(names)}.")
    return notes


def _watch_notes(record: RunRecord) -> Iterator[str]:
    """What is not known of the hosts, and why."""
    if not was_measured(record, "cpu_percent"):
        if record.no_hosts:
            yield f"CPU and memory of the hosts were not measured: {record.no_hosts}."
        elif was_measured(record, "memory_percent"):
            yield "CPU was not measured: it takes two readings, and the run had one."
    problems = {source: silence(record, source) for source in record.sources}
    yield from not_measured({name: why for name, why in problems.items() if why is not None})
    for source in record.sources:
        if problems[source] is not None:
            continue
        asked = [sample for sample in record.samples if sample.source == source]
        gaps = [sample for sample in asked if not sample.answered]
        if gaps:
            yield (
                f"{source} did not answer {len(gaps)} of {len(asked)} times, first at"
                f" {clock(gaps[0].second)}: {gaps[0].problem}."
            )
