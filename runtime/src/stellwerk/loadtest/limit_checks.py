"""Judges a run by its limits: CPU, memory and response time, watched while it runs (specification
1.4). Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stellwerk.loadtest.check import Check, Group, Outcome, clock, judged
from stellwerk.loadtest.record import RunRecord
from stellwerk.settings.loadtest import LoadLimits

CPU: Final = "CPU"
MEMORY: Final = "memory"
_RESPONSE_TIME: Final = "response time"
_ENOUGH: Final = 0.5  # a source that answers less often than this cannot vouch for its limits
_OWN_QUANTILE: Final = 0.95


@dataclass(frozen=True)
class _Limit:
    """What a reading may be at most, and what it is called."""

    reading: str
    word: str
    unit: str
    bound: float


def limit_checks(record: RunRecord, limits: LoadLimits, interval: int) -> Iterator[Check]:
    """One check per source and limit, each of its highest reading; one where there is none.

    The run's own response time is the p95 of the requests of each interval: one slow request among
    thousands is what the percentiles of the baselines are for.
    """
    cpu = _Limit("cpu_percent", CPU, "%", limits.cpu_percent)
    memory = _Limit("memory_percent", MEMORY, "%", limits.memory_percent)
    response = _Limit("response_time_ms", _RESPONSE_TIME, "ms", limits.response_time_ms)
    yield _own_response_time(record, response, interval)
    for source in record.sources:
        problem = silence(record, source)
        if problem is not None:
            reason = f"not measured: {problem}"
            yield Check(Group.LIMIT, source, f"{CPU} and {MEMORY}", "", None, None, reason=reason)
        else:
            yield from _interrupted(record, source)
            for limit in (cpu, memory, response):
                yield from _highest(record, source, limit)
    for limit in (cpu, memory):
        if not was_measured(record, limit.reading):
            reason = "not measured"
            yield Check(
                Group.LIMIT, limit.word, "highest", limit.unit, None, limit.bound, reason=reason
            )


def silence(record: RunRecord, source: str) -> str | None:
    """Why a source never said anything; None where it did."""
    said = [sample for sample in record.samples if sample.source == source]
    if any(sample.answered for sample in said):
        return None
    return said[-1].problem if said else "the run ended before it was asked"


def was_measured(record: RunRecord, reading: str) -> bool:
    """Whether any source said this."""
    return any(reading in sample.readings for sample in record.samples)


def _own_response_time(record: RunRecord, limit: _Limit, interval: int) -> Check:
    statistic = f"p95 of {interval} s"
    highest: tuple[float, int] | None = None
    for first in record.recording.seconds[::interval]:
        cell = record.merged(range(first, first + interval))
        value = cell.response.quantile(_OWN_QUANTILE)
        if value is not None and (highest is None or 1000 * value > highest[0]):
            highest = (1000 * value, first)
    if highest is None:
        return Check(
            Group.LIMIT,
            limit.word,
            statistic,
            limit.unit,
            None,
            limit.bound,
            outcome=Outcome.FAILED,
            reason="no request was answered",
        )
    return _judged(limit.word, statistic, limit, *highest)


def _interrupted(record: RunRecord, source: str) -> Iterator[Check]:
    """A check that fails where a source that once answered was silent for most of the run."""
    asked = [sample for sample in record.samples if sample.source == source]
    answered = sum(sample.answered for sample in asked)
    if answered < _ENOUGH * len(asked):
        last = [sample.problem for sample in asked if not sample.answered][-1]
        yield Check(
            Group.LIMIT,
            source,
            "answers",
            "%",
            100 * answered / len(asked),
            100 * _ENOUGH,
            higher_is_better=True,
            outcome=Outcome.FAILED,
            reason=f"it answered {answered} of {len(asked)} times, last: {last}",
        )


def _highest(record: RunRecord, source: str, limit: _Limit) -> Iterator[Check]:
    found = [
        (sample.readings[limit.reading], sample.second)
        for sample in record.samples
        if sample.source == source and limit.reading in sample.readings
    ]
    if found:
        value, second = max(found, key=lambda pair: pair[0])
        yield _judged(source, limit.word, limit, value, second)


def _judged(subject: str, statistic: str, limit: _Limit, value: float, second: float) -> Check:
    return judged(
        Group.LIMIT,
        subject,
        statistic,
        limit.unit,
        value,
        limit.bound,
        reason=f"at {clock(second)}",
    )
