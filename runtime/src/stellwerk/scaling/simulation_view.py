"""What a simulation found: as a table, as JSON and as a picture. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stellwerk.charts.lines import Chart, Line, Points, Tick
from stellwerk.charts.picture import picture
from stellwerk.scaling.simulation import Moment, Outcome
from stellwerk.scaling.trace import Trace
from stellwerk.terminal.columns import Cell, Column, laid_out
from stellwerk.terminal.paint import Paint, Tone

_MOST_POINTS: Final = 800
"""More than a picture can show beside each other."""
_WIDTH: Final = 960
_DAYS: Final = (1 / 24, 1 / 4, 1, 2, 7, 14, 28)
_MOST_TICKS: Final = 9


def table(outcomes: Sequence[Outcome], paint: Paint) -> list[str]:
    """The lines of a table, a way to scale each."""
    columns = [
        Column(""),
        Column("INSTANCE HOURS", right=True),
        Column("MIN UNDER CAPACITY", right=True),
        Column("LOST", right=True),
        Column("MOST", right=True),
        Column("CHANGES", right=True),
    ]
    return laid_out(columns, [_row(one) for one in outcomes], 80, paint)


def _row(outcome: Outcome) -> list[Cell]:
    under = outcome.minutes_under_capacity
    return [
        Cell(outcome.name, Tone.STRONG),
        Cell(f"{outcome.instance_hours:,.0f}"),
        Cell(f"{under:,.0f}", Tone.BAD if under else Tone.GOOD),
        Cell(f"{100 * outcome.lost_share:.2f} %"),
        Cell(str(outcome.most)),
        Cell(str(outcome.changes)),
    ]


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures for programs, and every change with its reason."""
    return {
        one.name: {
            "instance_hours": round(one.instance_hours, 3),
            "minutes_under_capacity": round(one.minutes_under_capacity, 3),
            "lost_share": one.lost_share,
            "most_instances": one.most,
            "changes": one.changes,
            "decisions": [
                {"at": _time(moment.at).isoformat(), "reason": moment.sentence}
                for moment in one.moments
                if moment.sentence
            ],
        }
        for one in outcomes
    }


def drawing(service: str, trace: Trace, outcomes: Sequence[Outcome]) -> str:
    """A picture of load, instances and time under capacity, as SVG."""
    first, last = trace.start, trace.end
    span = f"{_time(first):%Y-%m-%d %H:%M} to {_time(last):%Y-%m-%d %H:%M} UTC"
    ticks = _ticks(first, last)
    load = [Line("load", _thinned([(m.at, m.rate) for m in outcomes[0].moments]))]
    charts = [
        Chart("Load", "per second", load, ticks, width=_WIDTH, height=200),
        Chart("Instances that serve", "count", _counts(outcomes), ticks, width=_WIDTH, height=280),
        Chart(
            "Under capacity so far", "minutes", _under(outcomes), ticks, width=_WIDTH, height=200
        ),
    ]
    return picture(f"{service} under {trace.name}", span, charts)


def _counts(outcomes: Sequence[Outcome]) -> list[Line]:
    return [
        Line(
            f"{one.name}: {one.instance_hours:,.0f} h",
            _thinned([(moment.at, float(moment.serving)) for moment in one.moments]),
        )
        for one in outcomes
    ]


def _under(outcomes: Sequence[Outcome]) -> list[Line]:
    return [
        Line(
            f"{one.name}: {one.minutes_under_capacity:,.0f} min",
            _thinned(_summed(one.moments, one)),
        )
        for one in outcomes
    ]


def _summed(moments: Sequence[Moment], outcome: Outcome) -> list[tuple[float, float]]:
    summed, minutes = [], 0.0
    for moment in moments:
        if outcome.is_under(moment):
            minutes += outcome.step / 60
        summed.append((moment.at, minutes))
    return summed


def _thinned(points: Sequence[tuple[float, float]]) -> Points:
    """So few points that a picture can show them: the highest of each stretch."""
    length = -(-len(points) // _MOST_POINTS)
    stretches = (points[start : start + length] for start in range(0, len(points), length))
    return [(stretch[0][0], max(value for _, value in stretch)) for stretch in stretches]


def _ticks(first: float, last: float) -> list[Tick]:
    days = next((one for one in _DAYS if (last - first) / 86400 / one <= _MOST_TICKS), _DAYS[-1])
    step = timedelta(days=days)
    at = _time(first).replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = []
    while at.timestamp() <= last:
        if at.timestamp() >= first:
            label = f"{at:%d %b}" if days >= 1 else f"{at:%H:%M}"
            ticks.append(Tick(at.timestamp(), label))
        at += step
    return ticks


def _time(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
