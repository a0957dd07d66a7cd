"""The verdict as one HTML page that needs nothing else: no script, no font, no other file. Pure."""

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from stellwerk.charts.lines import MOST_LINES, Chart, Line, Mark, Tick, figure_element
from stellwerk.loadtest.check import Check, Group, Outcome, clock, figure
from stellwerk.loadtest.endpoint import QUANTILES, EndpointFigures
from stellwerk.loadtest.limit_checks import CPU, MEMORY
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.series import Point, quantile_curve, series
from stellwerk.loadtest.style import STYLE
from stellwerk.loadtest.table import conditions_line, headline, outcome_lines
from stellwerk.loadtest.verdict import Result, Verdict
from stellwerk.loadtest.weakness import busiest
from stellwerk.metrics.histogram import RELATIVE_ERROR

_CLASSES: Final = {
    Result.GOOD: "good",
    Result.FAILED: "bad",
    Result.GENERATOR_TOO_WEAK: "weak",
}
_TIME_TICKS: Final = 4
_CURVE_TICKS: Final = (0.5, 0.9, 0.99, 0.999, 0.9999)


def page(record: RunRecord, verdict: Verdict) -> str:
    """The whole page."""
    return "\n".join(_parts(record, verdict))


def _parts(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    title = escape(headline(record, verdict))
    started = record.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<style>{STYLE}</style></head><body>"
    yield f'<header class="{_CLASSES[verdict.result]}"><h1>{title}</h1>'
    yield f"<p>{escape(conditions_line(record))}</p>"
    yield f"<p>Started {started}.</p></header><main>"
    sentences = list(outcome_lines(verdict))
    if sentences:
        yield '<section><h2>Why</h2><ul class="why">'
        yield from (f"<li>{escape(sentence)}</li>" for _, sentence in sentences)
        yield "</ul></section>"
    yield from _response_times(verdict)
    yield from _charts(record, verdict)
    yield from _checks(verdict)
    yield from _about(record, verdict)
    yield "</main></body></html>"


def _response_times(verdict: Verdict) -> Iterator[str]:
    yield "<section><h2>Response times</h2>"
    yield (
        '<p class="hint">Milliseconds from the moment a request was meant to start. Below each'
        " figure: its target, and in brackets its value when the baselines were taken.</p>"
    )
    yield '<table class="times"><thead><tr><th></th>'
    yield "".join(f"<th>{name}</th>" for name in (*QUANTILES, "req/s", "errors"))
    yield "</tr></thead><tbody>"
    for endpoint in verdict.endpoints:
        asked = {
            check.statistic: check
            for check in verdict.checks
            if check.group is Group.BASELINE and check.subject == endpoint.label
        }
        yield f"<tr><th>{escape(endpoint.label)}{_kind(endpoint)}</th>"
        for statistic in QUANTILES:
            yield _time_cell(endpoint.response.get(statistic), asked.get(statistic))
        yield f"<td>{figure(endpoint.answered_per_second)}</td>"
        errors = endpoint.error_percent
        yield f"<td>{'-' if errors is None else figure(errors) + ' %'}</td></tr>"
        if not endpoint.is_operation:
            yield '<tr class="service"><th>without waiting to be sent</th>'
            yield from (_time_cell(endpoint.service.get(name), None) for name in QUANTILES)
            yield "<td></td><td></td></tr>"
    yield "</tbody></table></section>"


def _kind(endpoint: EndpointFigures) -> str:
    return " <small>operation</small>" if endpoint.is_operation else ""


def _time_cell(measured: float | None, asked: Check | None) -> str:
    text = "-" if measured is None else figure(measured)
    if asked is None or asked.bound is None:
        return f"<td>{text}</td>"
    css = {Outcome.PASSED: "good", Outcome.FAILED: "bad"}.get(asked.outcome, "")
    current = "" if asked.current is None else f" ({asked.current:g})"
    return f'<td class="{css}">{text}<small>{asked.bound:g}{current}</small></td>'


def _checks(verdict: Verdict) -> Iterator[str]:
    yield "<section><h2>Every check</h2>"
    for group in Group:
        checks = [check for check in verdict.checks if check.group is group]
        if not checks:
            continue
        yield f"<h3>{_GROUP_TITLES[group]}</h3>"
        yield '<table class="checks"><thead><tr><th></th><th>measured</th><th>asked</th>'
        yield f"<th>{_CURRENT[group]}</th><th>outcome</th></tr></thead><tbody>"
        yield from (_check_row(check) for check in checks)
        yield "</tbody></table>"
    yield "</section>"


_GROUP_TITLES: Final[Mapping[Group, str]] = {
    Group.BASELINE: "Baselines",
    Group.ERRORS: "Errors",
    Group.LIMIT: "Limits",
    Group.COMPARISON: "Beside earlier runs",
}
_CURRENT: Final[Mapping[Group, str]] = {
    Group.BASELINE: "baseline",
    Group.ERRORS: "",
    Group.LIMIT: "",
    Group.COMPARISON: "median",
}


def _check_row(check: Check) -> str:
    css = {Outcome.PASSED: "good", Outcome.FAILED: "bad"}.get(check.outcome, "none")
    values = [
        "-" if value is None else f"{figure(value)} {escape(check.unit)}"
        for value in (check.measured, check.bound)
    ]
    current = "" if check.current is None else figure(check.current)
    reason = f"<small>{escape(check.reason)}</small>" if check.reason else ""
    return (
        f"<tr><th>{escape(check.name)}{reason}</th><td>{values[0]}</td><td>{values[1]}</td>"
        f'<td>{current}</td><td class="{css}">{check.outcome}</td></tr>'
    )


def _charts(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    points = series(record)
    if not points:
        return
    ramp_up = record.planned.plan.schedule.ramp_up
    ticks = _time_ticks(max(record.elapsed, 1.0))
    yield "<section><h2>Over time</h2>"
    if ramp_up:
        yield '<p class="hint">The ramp-up is shaded: nothing but the limits is judged there.</p>'
    yield '<div class="charts">'
    yield figure_element(
        Chart(
            "Response time, all requests",
            "ms",
            [Line(name, [(p.second, p.response.get(name)) for p in points]) for name in QUANTILES],
            ticks,
            shaded_until=ramp_up,
        )
    )
    yield figure_element(_rates(points, ticks, ramp_up))
    for number, endpoint in enumerate(e for e in verdict.endpoints if not e.is_operation):
        yield figure_element(_endpoint_chart(record, verdict, endpoint, number, ticks))
    yield from (figure_element(chart) for chart in _watched(record, verdict, ticks))
    yield figure_element(_quantile_chart(record))
    yield "</div></section>"


def _rates(points: list[Point], ticks: list[Tick], ramp_up: float) -> Chart:
    return Chart(
        "Requests",
        "per second",
        [
            Line("meant to start", [(p.second, p.planned) for p in points]),
            Line("answered well", [(p.second, p.answered) for p in points]),
            Line("failed", [(p.second, p.failed) for p in points]),
        ],
        ticks,
        shaded_until=ramp_up,
    )


def _endpoint_chart(
    record: RunRecord, verdict: Verdict, endpoint: EndpointFigures, kind: int, ticks: list[Tick]
) -> Chart:
    marks = [
        Mark("target", check.bound)
        for check in verdict.checks
        if check.group is Group.BASELINE
        and (check.subject, check.statistic) == (endpoint.label, "p95")
        and check.bound is not None
    ]
    points = series(record, (kind,))
    return Chart(
        endpoint.label,
        "p95 in ms",
        [Line("p95", [(p.second, p.response.p95) for p in points])],
        ticks,
        marks,
        record.planned.plan.schedule.ramp_up,
    )


def _watched(record: RunRecord, verdict: Verdict, ticks: list[Tick]) -> Iterator[Chart]:
    for reading, title, unit, statistic in (
        ("cpu_percent", "CPU", "%", CPU),
        ("memory_percent", "Memory", "%", MEMORY),
        ("response_time_ms", "Response time by the services", "ms", ""),
    ):
        lines = [
            Line(
                source,
                [(s.second, s.readings.get(reading)) for s in record.samples if s.source == source],
            )
            for source in record.sources
        ]
        drawn = [line for line in lines if any(value is not None for _, value in line.points)]
        charts = math.ceil(len(drawn) / MOST_LINES)
        for number in range(charts):
            lines = drawn[number * len(drawn) // charts : (number + 1) * len(drawn) // charts]
            yield Chart(
                f"{title}, {number + 1} of {charts}" if charts > 1 else title,
                unit,
                lines,
                ticks,
                _limit(verdict, statistic),
            )


def _limit(verdict: Verdict, statistic: str) -> list[Mark]:
    """The limit that a statistic of the hosts is judged by."""
    bounds = {
        check.bound
        for check in verdict.checks
        if check.group is Group.LIMIT and check.statistic == statistic
    }
    return [Mark("limit", bound) for bound in bounds if bound is not None]


def _quantile_chart(record: RunRecord) -> Chart:
    """Each further nine of the share of requests takes as much room as the one before."""
    lines = [
        Line(kind.label, [(_nines(share), ms) for share, ms in quantile_curve(record, number)])
        for number, kind in enumerate(record.planned.kinds)
    ]
    last = max((x for line in lines for x, _ in line.points), default=1.0)
    ticks = [Tick(0.0, "0 %")] + [
        Tick(_nines(share), f"{100 * share:g} %") for share in _CURVE_TICKS if _nines(share) <= last
    ]
    return Chart("Share of the requests answered within", "ms", lines, ticks)


def _nines(share: float) -> float:
    return -math.log10(1 - share)


def _about(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    workers = record.workers
    started = sum(worker.started for worker in workers)
    late = sum(worker.late for worker in workers)
    cpu = busiest(record)
    yield "<section><h2>About this run</h2><ul>"
    yield (
        f"<li>{len(workers)} generator process{'es' if len(workers) > 1 else ''} started"
        f" {started:,} requests, {late:,} of them late"
        f" (at most {1000 * max(w.worst_seconds for w in workers):.1f} ms); the busiest used"
        f" {'-' if cpu is None else f'{cpu:.0%}'} of a core.</li>"
    )
    yield (
        f"<li>Percentiles are within {RELATIVE_ERROR:.0%} of the exact ones; mean and highest value"
        " are exact.</li>"
    )
    yield from (f"<li>{escape(note)}</li>" for note in verdict.notes)
    yield "</ul></section>"


def _time_ticks(seconds: float) -> list[Tick]:
    """Some four round times from 0 to so many seconds."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((step for step in steps if seconds / step <= _TIME_TICKS), 7200)
    count = int(seconds // step)
    return [Tick(step * number, clock(step * number)) for number in range(count + 1)]
