"""Judges a run by its limits: CPU, memory and response time, watched while it runs (specification
1.4). Pure.
"""

from collections.abc import Iterator
from typing import Final

from stellwerk.loadtest.check import Check, Group, Outcome, judged
from stellwerk.loadtest.record import RunRecord
from stellwerk.settings.loadtest import LoadLimits

_ENOUGH: Final = 0.5  # a source that answers less often than this cannot vouch for its limits
_OWN_QUANTILE: Final = 0.95


def limit_checks(record: RunRecord, limits: LoadLimits, interval: int) -> Iterator[Check]:
    """One check per limit and source, each of its highest reading.

    The run's own response time is the p95 of the requests of each interval: one slow request among
    thousands is what the percentiles of the baselines are for.
    """
    yield _own_response_time(record, limits.response_time_ms, interval)
    asked = {
        "cpu_percent": ("CPU", "%", limits.cpu_percent),
        "memory_percent": ("memory", "%", limits.memory_percent),
        "response_time_ms": ("response time", "ms", limits.response_time_ms),
    }
    for source in record.sources:
        yield from _silence(record, source)
        for reading, (word, unit, limit) in asked.items():
            found = _highest(record, source, reading)
            if found is not None:
                value, second = found
                yield judged(
                    Group.LIMIT,
                    f"{word} of {source}",
                    "highest",
                    unit,
                    value,
                    limit,
                    reason=f"after {second:.0f} s",
                )
    for reading in ("cpu_percent", "memory_percent"):
        if all(_highest(record, source, reading) is None for source in record.sources):
            word, unit, limit = asked[reading]
            yield Check(
                Group.LIMIT,
                word,
                "highest",
                unit,
                None,
                limit,
                reason="not watched; --watch-local and --watch URL do",
            )


def _own_response_time(record: RunRecord, limit: float, interval: int) -> Check:
    highest: tuple[float, int] | None = None
    for first in record.recording.seconds[::interval]:
        cell = record.merged(range(first, first + interval))
        value = cell.response.quantile(_OWN_QUANTILE)
        if value is not None and (highest is None or 1000 * value > highest[0]):
            highest = (1000 * value, first)
    if highest is None:
        return Check(
            Group.LIMIT,
            "response time",
            f"p95 of {interval} s",
            "ms",
            None,
            limit,
            outcome=Outcome.FAILED,
            reason="no request was answered",
        )
    return judged(
        Group.LIMIT,
        "response time",
        f"p95 of {interval} s",
        "ms",
        highest[0],
        limit,
        reason=f"after {highest[1]} s",
    )


def _silence(record: RunRecord, source: str) -> Iterator[Check]:
    asked = [sample for sample in record.samples if sample.source == source]
    answered = sum(sample.answered for sample in asked)
    if asked and answered < _ENOUGH * len(asked):
        yield Check(
            Group.LIMIT,
            source,
            "answers",
            "%",
            100 * answered / len(asked),
            100 * _ENOUGH,
            higher_is_better=True,
            outcome=Outcome.FAILED,
            reason=f"it answered {answered} of {len(asked)} times, so its limits are not known",
        )


def _highest(record: RunRecord, source: str, reading: str) -> tuple[float, float] | None:
    return max(
        (
            (sample.readings[reading], sample.second)
            for sample in record.samples
            if sample.source == source and reading in sample.readings
        ),
        default=None,
    )
