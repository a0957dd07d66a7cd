"""A small line without axes, as an inline SVG element. Its colours come from `style`. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

_WIDTH: Final = 96
_HEIGHT: Final = 20
_MARGIN: Final = 2  # half of the line is beside its points


def sparkline(values: Sequence[float | None]) -> str:
    """The values from left to right, between the lowest and the highest; None is a gap.

    It is hidden from screen readers: figures beside it say more.
    """
    path = "".join(_commands(values))
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<path class="line l0" d="{path}"/></svg>'
    )


def _commands(values: Sequence[float | None]) -> Iterator[str]:
    known = [value for value in values if value is not None]
    lowest, highest = min(known, default=0.0), max(known, default=0.0)
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(values) - 1)
    drawing = False
    for place, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        share = (value - lowest) / (highest - lowest) if highest > lowest else 0.5
        y = _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)
        point = f"{_MARGIN + place * step:.1f} {y:.1f}"
        yield f"L{point}" if drawing else f"M{point}h.1"  # a point alone is a dot
        drawing = True
