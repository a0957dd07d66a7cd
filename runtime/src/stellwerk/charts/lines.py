"""Line charts as SVG elements, without scripts. Colours come from `style`. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

# Small enough for its text to stay readable where a phone shows it at three quarters of its size.
_WIDTH: Final = 480
_HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 12, 30
_MOST_STEPS: Final = 5
MOST_LINES: Final = 6
"""What one chart can tell apart."""

Points = Sequence[tuple[float, float | None]]
"""Pairs of x and y; None is a gap."""


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    points: Points


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a value that means something."""

    label: str
    value: float


@dataclass(frozen=True)
class Tick:
    """A place on the x axis with its text."""

    value: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart. `shaded_until` tints what lies before that x; width and height are in units of the
    letters, which are 14 high.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    marks: Sequence[Mark] = ()
    shaded_until: float = 0.0
    width: int = _WIDTH
    height: int = _HEIGHT


def figure_element(chart: Chart) -> str:
    """The chart as an HTML figure with title, legend and plot."""
    legend = "".join(
        f'<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><path class="line l{number}"'
        f' d="M0 4H24"/></svg>{escape(line.label)}</li>'
        for number, line in enumerate(chart.lines[:MOST_LINES])
    )
    legend += "".join(
        '<li><svg class="key" viewBox="0 0 24 8" aria-hidden="true"><path class="mark"'
        f' d="M0 4H24"/></svg>{escape(mark.label)}</li>'
        for mark in chart.marks
    )
    return (
        f'<figure><figcaption>{escape(chart.title)} <span class="unit">{escape(chart.unit)}</span>'
        f'</figcaption><ul class="legend">{legend}</ul>{svg(chart)}</figure>'
    )


def svg(chart: Chart, place: str = "") -> str:
    """The plot alone, as an SVG element. `place` are attributes that say where it stands in another
    picture.
    """
    return "".join(_parts(chart, place))


def _parts(chart: Chart, place: str) -> Iterator[str]:
    values = [y for line in chart.lines for _, y in line.points if y is not None]
    step, steps = _scale(max([*values, *(mark.value for mark in chart.marks)], default=1.0))
    top = step * steps
    first, last = _x_range(chart)

    def x(value: float) -> float:
        return _LEFT + (value - first) / (last - first) * (chart.width - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return chart.height - _BOTTOM - value / top * (chart.height - _TOP - _BOTTOM)

    yield (
        f'<svg {place} viewBox="0 0 {chart.width} {chart.height}" role="img"'
        f' aria-label="{escape(chart.title)}">'
    )
    if chart.shaded_until > first:
        width = x(min(chart.shaded_until, last)) - _LEFT
        yield (
            f'<rect class="shade" x="{_LEFT}" y="{_TOP}" width="{width:.1f}"'
            f' height="{chart.height - _TOP - _BOTTOM}"/>'
        )
    for number in range(steps + 1):
        height = y(step * number)
        yield f'<path class="grid" d="M{_LEFT} {height:.1f}H{chart.width - _RIGHT}"/>'
        yield f'<text class="y" x="{_LEFT - 8}" y="{height + 5:.1f}">{_number(step, number)}</text>'
    for tick in chart.x_ticks:
        place_of_tick = f'x="{x(tick.value):.1f}" y="{chart.height - 8}"'
        yield f'<text class="x" {place_of_tick}>{escape(tick.label)}</text>'
    for mark in chart.marks:
        yield f'<path class="mark" d="M{_LEFT} {y(mark.value):.1f}H{chart.width - _RIGHT}"/>'
    for number, line in enumerate(chart.lines[:MOST_LINES]):
        yield f'<path class="line l{number}" d="{_path(line.points, x, y)}"/>'
    yield "</svg>"


def _x_range(chart: Chart) -> tuple[float, float]:
    xs = [x for line in chart.lines for x, _ in line.points]
    xs += [tick.value for tick in chart.x_ticks]
    first, last = min(xs, default=0.0), max(xs, default=1.0)
    return (first, last) if last > first else (first, first + 1)


def _path(points: Points, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """A path that is broken at gaps; a point alone is drawn as a dot."""
    commands, drawing = [], False
    for position, value in points:
        if value is None:
            drawing = False
            continue
        place = f"{x(position):.1f} {y(value):.1f}"
        commands.append(f"L{place}" if drawing else f"M{place}h.1")
        drawing = True
    return "".join(commands)


def _scale(most: float) -> tuple[float, int]:
    """The step between two lines of the grid, a round number, and how many reach `most`."""
    if most <= 0:
        return 1.0, 1
    power = 10.0 ** (math.floor(math.log10(most)) - 1)
    steps = (factor * power for factor in (1, 2, 5, 10, 20, 50))
    step = next(one for one in steps if one * _MOST_STEPS >= most)
    return step, math.ceil(round(most / step, 9))


def _number(step: float, number: int) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if number else 0
    return f"{step * number:,.{digits}f}"
