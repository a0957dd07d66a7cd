"""The verdict for a terminal, at most 80 columns wide. Pure."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from stellwerk.loadtest.check import Check, Group, Outcome, figure
from stellwerk.loadtest.endpoint import QUANTILES, EndpointFigures, Times
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.verdict import Result, Verdict

WIDTH: Final = 80
_LABEL_WIDTH: Final = 32
_COLUMN: Final = 12


def table(record: RunRecord, verdict: Verdict) -> str:
    """The whole verdict as text."""
    return "\n".join(_lines(record, verdict))


def headline(record: RunRecord, verdict: Verdict) -> str:
    """The verdict in one line."""
    words = {
        Result.GOOD: "PASSED",
        Result.FAILED: "FAILED",
        Result.GENERATOR_TOO_WEAK: "NO VERDICT, the load generator fell behind",
    }
    return f"{record.planned.scenario}: {words[verdict.result]}"


def conditions_line(record: RunRecord) -> str:
    """Under what load, in a sentence."""
    plan, window = record.planned.plan, record.window
    judged = record.judged().requests
    return (
        f"{plan.schedule.requests_per_second:g} requests/s from up to {plan.users} users against"
        f" {plan.target.url}; {judged:,} requests in {window.length:.0f} s judged, from second"
        f" {window.seconds.start} on."
    )


def outcome_lines(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What is to be said besides the figures: a mark and a sentence."""
    for weakness in verdict.weaknesses:
        yield "WEAK", weakness
    for check in verdict.failed:
        yield "FAILED", check.sentence()


def _lines(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    yield headline(record, verdict)
    yield from textwrap.wrap(conditions_line(record), WIDTH)
    yield ""
    yield _row("response time in ms", [*QUANTILES], "answered/s")
    failed = {check.name for check in verdict.failed if check.group is Group.BASELINE}
    for endpoint in verdict.endpoints:
        asked = {
            check.statistic: check
            for check in verdict.checks
            if check.group is Group.BASELINE and check.subject == endpoint.label
        }
        yield from _endpoint(endpoint, asked, failed)
    yield ""
    yield from _others(verdict)
    for mark, sentence in outcome_lines(verdict):
        yield from textwrap.wrap(f"{mark:7} {sentence}", WIDTH, subsequent_indent=" " * 8)
    for note in verdict.notes:
        yield from textwrap.wrap(f"note    {note}", WIDTH, subsequent_indent=" " * 8)


def _endpoint(
    endpoint: EndpointFigures, asked: Mapping[str, Check], failed: set[str]
) -> Iterator[str]:
    measured = [
        _figure(endpoint.response.get(statistic))
        + ("!" if f"{endpoint.label} {statistic}" in failed else " ")
        for statistic in QUANTILES
    ]
    yield _row(endpoint.label, measured, figure(endpoint.answered_per_second))
    if asked:
        yield _row("  target / current", [_asked(asked.get(name)) for name in QUANTILES], "")
    if not endpoint.is_operation:
        yield _row("  without waiting to be sent", _plain(endpoint.service), "")


def _others(verdict: Verdict) -> Iterator[str]:
    """Checks that have no place among the response times."""
    times = {
        (endpoint.label, statistic) for endpoint in verdict.endpoints for statistic in QUANTILES
    }
    others = [
        check
        for check in verdict.checks
        if check.group is not Group.COMPARISON
        and (check.group is not Group.BASELINE or (check.subject, check.statistic) not in times)
    ]
    if others:
        yield f"{'':{_LABEL_WIDTH}}{'measured':>{_COLUMN}}{'asked':>{_COLUMN}}"
    for check in others:
        mark = "" if check.outcome is Outcome.PASSED else check.outcome
        yield (
            f"{_named(check)}{_figure(check.measured):>{_COLUMN}}"
            f"{_figure(check.bound):>{_COLUMN}} {check.unit:12} {mark}"
        ).rstrip()
    compared = [check for check in verdict.checks if check.group is Group.COMPARISON]
    if compared:
        worse = sum(check.outcome is Outcome.FAILED for check in compared)
        judged = sum(check.outcome is not Outcome.NOT_JUDGED for check in compared)
        yield f"compared with earlier runs: {judged} figures, {worse} worse"
    yield ""


def _row(label: str, columns: list[str], last: str) -> str:
    cells = "".join(f"{column:>{_COLUMN}}" for column in columns)
    return f"{_shortened(label)}{cells}{last:>{_COLUMN}}".rstrip()


def _named(check: Check) -> str:
    """What is checked, so that a long subject does not hide which figure it is."""
    room = _LABEL_WIDTH - 2 - len(check.statistic)
    subject = check.subject if len(check.subject) <= room else f"{check.subject[: room - 1]}…"
    return _shortened(f"{subject} {check.statistic}")


def _shortened(label: str) -> str:
    if len(label) > _LABEL_WIDTH - 1:
        label = f"{label[: _LABEL_WIDTH - 2]}…"
    return f"{label:{_LABEL_WIDTH}}"


def _plain(times: Times) -> list[str]:
    return [f"{_figure(times.get(statistic))} " for statistic in QUANTILES]


def _figure(value: float | None) -> str:
    return "-" if value is None else figure(value)


def _asked(check: Check | None) -> str:
    if check is None or check.bound is None:
        return "- "
    current = "" if check.current is None else f" / {check.current:g}"
    return f"{check.bound:g}{current} "
