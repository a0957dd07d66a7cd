"""Judges a run by the performance baselines (specification 1.1) and by its share of errors. Pure.

What a baseline's figures mean follows from its unit: milliseconds are response times, requests/s
and the like are successes over time, percent is the share of successes.
"""

from collections.abc import Iterator
from typing import Final

from stellwerk.loadtest.check import Check, Group, judged
from stellwerk.loadtest.endpoint import EndpointFigures, figures
from stellwerk.loadtest.record import RunRecord
from stellwerk.settings.baselines import Baselines, Figure, Measure

_STATISTICS: Final = ("p50", "p95", "p99", "average", "peak", "sustained", "maximum", "value")
_PER: Final = {"/s": 1, "/min": 60, "/h": 3600}
# Errors have a check of their own: a throughput is not missed for a single one.
_THROUGHPUT_TOLERANCE: Final = 0.01


def endpoint_figures(record: RunRecord, baselines: Baselines) -> list[EndpointFigures]:
    """The figures of every kind of request, then of every operation measured in milliseconds."""
    window = record.window
    result = [
        figures(kind.label, kind.service, (number,), record.judged((number,)), window.length)
        for number, kind in enumerate(record.planned.kinds)
    ]
    for service, name, kinds in _counted(record):
        measure = _measure(baselines, service, name)
        if measure is not None and measure.unit == "ms":
            cell = record.judged(kinds)
            result.append(figures(name, service, kinds, cell, window.length, is_operation=True))
    return result


def baseline_checks(
    record: RunRecord, baselines: Baselines, endpoints: list[EndpointFigures]
) -> Iterator[Check]:
    """The checks by the baselines of the services under test."""
    for endpoint in endpoints:
        measure = _measure(baselines, endpoint.service_name, endpoint.label)
        if measure is not None and measure.unit == "ms":
            yield from _time_checks(endpoint, measure)
    for service, name, kinds in _counted(record):
        measure = _measure(baselines, service, name)
        if measure is None:
            yield Check(
                Group.BASELINE, name, "", "", None, None, reason=f"{service} has no such baseline"
            )
        elif _factor(measure.unit):
            yield from _rate_checks(record, name, measure, kinds)
        elif measure.unit == "percent":
            yield from _success_checks(record, name, measure, kinds)


def error_checks(
    record: RunRecord, baselines: Baselines, endpoints: list[EndpointFigures], limit_percent: float
) -> Iterator[Check]:
    """The share of failures of each kind of request that no success rate is asked of."""
    for endpoint in endpoints:
        if endpoint.is_operation:
            continue
        kind = record.planned.kinds[endpoint.kinds[0]]
        measures = [_measure(baselines, kind.service, name) for name in kind.counts_for]
        if any(measure is not None and measure.unit == "percent" for measure in measures):
            continue
        if endpoint.error_percent is None:
            yield Check(
                Group.ERRORS,
                endpoint.label,
                "errors",
                "%",
                None,
                limit_percent,
                reason="there was no such request",
            )
            continue
        reasons = [f"{count} x {reason}" for reason, count in endpoint.failures.items()]
        yield judged(
            Group.ERRORS,
            endpoint.label,
            "errors",
            "%",
            endpoint.error_percent,
            limit_percent,
            reason=", ".join(reasons[:3]),
        )


def unmeasured(record: RunRecord, baselines: Baselines) -> dict[str, list[str]]:
    """The baselines of the services under test that this run says nothing about, by service."""
    measured: dict[str, set[str]] = {}
    for kind in record.planned.kinds:
        measured.setdefault(kind.service, set()).update((kind.label, *kind.counts_for))
    return {
        service: left
        for service, names in measured.items()
        if (left := [name for name in baselines.measures.get(service, {}) if name not in names])
    }


def _time_checks(endpoint: EndpointFigures, measure: Measure) -> Iterator[Check]:
    for statistic, asked in _asked(measure):
        value = endpoint.response.get(statistic)
        if value is None or asked.target is None:
            reason = "nothing was measured" if value is None else "the baseline has no target"
            yield Check(
                Group.BASELINE,
                endpoint.label,
                statistic,
                measure.unit,
                value,
                asked.target,
                asked.current,
                reason=reason,
            )
            continue
        yield judged(
            Group.BASELINE,
            endpoint.label,
            statistic,
            measure.unit,
            value,
            asked.target,
            current=asked.current,
        )


def _rate_checks(
    record: RunRecord, name: str, measure: Measure, kinds: tuple[int, ...]
) -> Iterator[Check]:
    factor = _factor(measure.unit)
    planned = record.planned.planned_rate(kinds) * factor
    for statistic, asked in _asked(measure):
        value = _answered_per_second(record, statistic, kinds) * factor
        if asked.target is None or planned < asked.target:
            reason = (
                "the baseline has no target"
                if asked.target is None
                else f"the scenario sends only {planned:,.0f} {measure.unit}"
            )
            yield Check(
                Group.BASELINE,
                name,
                statistic,
                measure.unit,
                value,
                asked.target,
                asked.current,
                higher_is_better=True,
                reason=reason,
            )
            continue
        yield judged(
            Group.BASELINE,
            name,
            statistic,
            measure.unit,
            value,
            asked.target * (1 - _THROUGHPUT_TOLERANCE),
            current=asked.current,
            higher_is_better=True,
            reason=f"the target less {_THROUGHPUT_TOLERANCE:.0%}, as errors are judged apart",
        )


def _answered_per_second(record: RunRecord, statistic: str, kinds: tuple[int, ...]) -> float:
    """The throughput over all judged seconds, or in the best of them for a peak."""
    window = record.window
    if statistic != "peak":
        return record.judged(kinds).answered / window.length if window.length else 0.0
    seconds = (range(second, second + 1) for second in window.seconds)
    return float(max((record.merged(second, kinds).answered for second in seconds), default=0))


def _success_checks(
    record: RunRecord, name: str, measure: Measure, kinds: tuple[int, ...]
) -> Iterator[Check]:
    errors = record.judged(kinds).error_percent
    for statistic, asked in _asked(measure):
        if errors is None or asked.target is None:
            reason = "nothing was measured" if errors is None else "the baseline has no target"
            yield Check(
                Group.BASELINE,
                name,
                statistic,
                "%",
                None,
                asked.target,
                asked.current,
                True,
                reason=reason,
            )
            continue
        yield judged(
            Group.BASELINE,
            name,
            statistic,
            "%",
            100 - errors,
            asked.target,
            current=asked.current,
            higher_is_better=True,
        )


def _counted(record: RunRecord) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Each operation, throughput and success rate: service, name and kinds of requests."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, kind in enumerate(record.planned.kinds):
        for name in kind.counts_for:
            kinds.setdefault((kind.service, name), []).append(number)
    for (service, name), numbers in kinds.items():
        yield service, name, tuple(numbers)


def _asked(measure: Measure) -> Iterator[tuple[str, Figure]]:
    for statistic in _STATISTICS:
        asked: Figure | None = getattr(measure, statistic)
        if asked is not None:
            yield statistic, asked


def _measure(baselines: Baselines, service: str, name: str) -> Measure | None:
    return baselines.measures.get(service, {}).get(name)


def _factor(unit: str) -> int:
    """Seconds in the unit's time; 0 where it is no throughput."""
    return next((factor for end, factor in _PER.items() if unit.endswith(end)), 0)
