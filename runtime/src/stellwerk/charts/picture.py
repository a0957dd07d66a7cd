"""Several charts below each other as one SVG file that needs nothing else. Pure."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from stellwerk.charts.lines import MOST_LINES, Chart, svg
from stellwerk.charts.style import CHART_STYLE

_MARGIN: Final = 24
_TITLE: Final = 64
_HEADING: Final = 52
_LETTER: Final = 7.4
"""Mean width of a letter of the legend, which is 14 high."""
_KEY: Final = 32
_STYLE: Final = """
.ground{fill:var(--ground)}
text.title{fill:var(--ink);font:600 20px system-ui,sans-serif}
text.heading{fill:var(--ink);font:600 15px system-ui,sans-serif}
"""


def picture(title: str, subtitle: str, charts: Sequence[Chart]) -> str:
    """The file's text. All charts have the width of the widest."""
    width = max((chart.width for chart in charts), default=0) + 2 * _MARGIN
    height = _TITLE + sum(_HEADING + chart.height for chart in charts) + _MARGIN
    return "".join(_parts(title, subtitle, charts, width, height)) + "\n"


def _parts(
    title: str, subtitle: str, charts: Sequence[Chart], width: int, height: int
) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    )
    yield f"<style>{CHART_STYLE}{_STYLE}</style>"
    yield f'<rect class="ground" width="{width}" height="{height}"/>'
    yield f'<text class="title" x="{_MARGIN}" y="34">{escape(title)}</text>'
    yield f'<text x="{_MARGIN}" y="56">{escape(subtitle)}</text>'
    top = _TITLE
    for chart in charts:
        heading = f"{chart.title} ({chart.unit})"
        yield f'<text class="heading" x="{_MARGIN}" y="{top + 24}">{escape(heading)}</text>'
        yield from _legend(chart, top + 44)
        top += _HEADING
        place = f'x="{_MARGIN}" y="{top}" width="{chart.width}" height="{chart.height}"'
        yield svg(chart, place)
        top += chart.height
    yield "</svg>"


def _legend(chart: Chart, y: int) -> Iterator[str]:
    x = float(_MARGIN)
    keys = [(f"line l{number}", line.label) for number, line in enumerate(chart.lines[:MOST_LINES])]
    keys += [("mark", mark.label) for mark in chart.marks]
    for style, label in keys:
        yield f'<path class="{style}" d="M{x:.0f} {y - 5}h24"/>'
        yield f'<text x="{x + _KEY:.0f}" y="{y}">{escape(label)}</text>'
        x += _KEY + len(label) * _LETTER + 20
