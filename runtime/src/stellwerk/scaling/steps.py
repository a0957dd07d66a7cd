"""What a step makes of a number of instances. Pure."""

from collections.abc import Sequence

from stellwerk.scaling.ratio import whole
from stellwerk.settings.scaling_policy import Band


def stepped(
    current: int, *, delta: int | None = None, percent: float | None = None, to: int | None = None
) -> int:
    """The number after a step of so many, by such a share (rounded to the nearest), or to `to`."""
    if to is not None:
        return to
    if percent is not None:
        return max(0, whole(current * (1 + percent / 100), "nearest"))
    return max(0, current + (delta or 0))


def within(band: Band, samples: Sequence[float]) -> int:
    """How many samples lie in a band: from its lower value to below its upper one."""
    return sum(
        (band.lower is None or sample >= band.lower) and (band.upper is None or sample < band.upper)
        for sample in samples
    )


def after_band(band: Band, current: int, samples: Sequence[float]) -> int:
    """The number a band asks for."""
    if within(band, samples) < band.samples:
        return current
    return stepped(current, delta=band.delta, percent=band.percent, to=band.instances)
