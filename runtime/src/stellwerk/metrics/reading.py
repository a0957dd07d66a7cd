"""What one look at a source yields: samples, or in which state it was and why. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.model import Sample, Series, Source


class State(StrEnum):
    """How a source was found."""

    UP = "up"
    DOWN = "down"
    """It is not running, or nothing listens."""
    FROZEN = "frozen"
    """It did not answer in time."""
    REFUSED = "refused"
    """It answered, and did not let us in: a wrong password, a missing permission."""
    MISSING = "missing"
    """Something to look at is not there: an extension, a file, a control group."""
    UNSUPPORTED = "unsupported"
    """It answered, and is of a version that cannot be read."""

    @property
    def availability(self) -> float | None:
        """1 if it serves, 0 if not; None where the look does not tell."""
        return _AVAILABILITY.get(self)


_AVAILABILITY = {State.UP: 1.0, State.DOWN: 0.0, State.FROZEN: 0.0}


class Observed(NamedTuple):
    """The durations of a distribution that were seen since the last look."""

    series: Series
    durations: Histogram


class Gap(NamedTuple):
    """Something that a source which is up did not yield, and why, in a sentence."""

    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at one subject of a source, such as Redis on port 6379."""

    source: Source
    subject: str
    """What was looked at, for people: "PostgreSQL", "Redis on port 6379"."""
    at: float
    """When, in seconds since the epoch (UTC)."""
    duration: float
    """How long it took, in seconds."""
    state: State
    error: str | None = None
    """Where it is not up: what is wrong and what to do, in a sentence."""
    samples: tuple[Sample, ...] = ()
    """Only what was measured. What is not known is not here, and never a zero."""
    observed: tuple[Observed, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())
    """What is missing although the source is up."""
