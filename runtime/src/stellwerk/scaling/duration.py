"""Lengths of time as operators write them: "90s", "30m", "2h", "1d"."""

import re
from datetime import timedelta
from typing import Final

import click

LONGEST: Final = timedelta(days=30)

_WRITTEN: Final = re.compile(r"(?P<count>\d{1,7})(?P<unit>[smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """The length of time. Raises ValueError for anything else, none, and more than `LONGEST`."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'{text!r} is no time such as "30m", "2h" or "1d"')
    duration = timedelta(**{_UNITS[found["unit"]]: int(found["count"])})
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"{text!r} is not more than no time and at most {LONGEST.days} days")
    return duration


def duration_option(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> timedelta | None:
    """The callback of an option that is a length of time."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
