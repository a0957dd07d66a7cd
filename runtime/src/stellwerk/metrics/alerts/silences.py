"""Silences: alerts that people know of and do not want to be told again. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from stellwerk.metrics.model import Series

LONGEST_SECONDS: Final = 30 * 86400
"""A silence lasts at most so long: what nobody wants to hear at all is disabled in the settings."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Keeps alerts from being told. Patterns are as in a shell; "*" fits everything."""

    number: int
    until: float
    """In seconds since the epoch."""
    by: str
    reason: str
    metric: str = "*"
    """Fits keys of metrics: "redis.*"."""
    service: str = "*"
    subject: str = "*"
    """Fits the labels of a series as people see them: "aktienanalyse-core@8101"."""

    def fits(self, series: Series) -> bool:
        """Whether it is about this series."""
        return (
            fnmatchcase(series.metric.key, self.metric)
            and fnmatchcase(series.service, self.service)
            and fnmatchcase(series.subject, self.subject)
        )


def silenced(silences: Iterable[Silence], series: Series, at: float) -> bool:
    """Whether any silence in force fits the series."""
    return any(one.until > at and one.fits(series) for one in silences)


def in_force(silences: Iterable[Silence], at: float) -> tuple[Silence, ...]:
    """Those that have not ended."""
    return tuple(one for one in silences if one.until > at)


def next_number(silences: Iterable[Silence]) -> int:
    """A number for one more."""
    return max((one.number for one in silences), default=0) + 1


def document(silences: Iterable[Silence]) -> list[dict[str, Any]]:
    """The silences for JSON."""
    return [asdict(one) for one in silences]


def from_document(values: Sequence[Any]) -> tuple[Silence, ...]:
    """The silences that `document` made. Raises ValueError where the values are none."""
    try:
        return tuple(
            Silence(
                int(one["number"]),
                float(one["until"]),
                *(str(one[name]) for name in ("by", "reason", "metric", "service", "subject")),
            )
            for one in values
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"is no silence: {json.dumps(str(error))}") from None
