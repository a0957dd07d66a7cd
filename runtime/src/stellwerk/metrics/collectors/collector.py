"""How every source is looked at: within its time, and so that whatever is wrong becomes a state."""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stellwerk.metrics.model import Metric, Sample, Series, Source
from stellwerk.metrics.reading import Gap, Observed, Reading, State

_logger: Final = logging.getLogger(__name__)


class Trouble(Exception):
    """A source could not be read; the message is a sentence that says why and what to do."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


@dataclass(frozen=True, slots=True)
class Found:
    """What a look yielded."""

    samples: Sequence[Sample] = ()
    observed: Sequence[Observed] = ()
    gaps: Sequence[Gap] = ()


class Collector(Protocol):
    """A source with all of its subjects on this host."""

    @property
    def name(self) -> str:
        """What it is called among the collectors of a host."""

    async def look(self, seconds: float) -> Sequence[Reading]:
        """One reading of each subject, after so many seconds at the latest. Never raises."""

    def close(self) -> None:
        """Give up its connections at once."""


class SubjectCollector(ABC):
    """A collector of one subject: what `collect` finds or raises becomes its reading."""

    def __init__(self, source: Source, subject: str, availability: Series | None = None) -> None:
        self.name: Final = subject
        self._source = source
        self._availability = availability

    async def look(self, seconds: float) -> Sequence[Reading]:
        at, start = time.time(), time.perf_counter()
        found, state, error = Found(), State.UP, None
        try:
            async with asyncio.timeout(seconds):
                found = await self.collect()
        except Trouble as trouble:
            state, error = trouble.state, str(trouble)
        except TimeoutError:
            state, error = State.FROZEN, f"{self.name} did not answer within {seconds:g} s"
        except Exception as fault:
            # A mistake of ours, or an answer that nobody thought of: the other sources go on.
            _logger.exception("%s cannot be read", self.name)
            state, error = State.UNSUPPORTED, f"its answer is not understood ({fault!r})"
        if state is not State.UP:
            self.close()
        samples = (*found.samples, *available(self._availability, state))
        return (
            Reading(
                self._source,
                self.name,
                at,
                time.perf_counter() - start,
                state,
                error,
                samples,
                tuple(found.observed),
                tuple(found.gaps),
            ),
        )

    @abstractmethod
    async def collect(self) -> Found:
        """Read the subject. Raises Trouble."""

    def close(self) -> None:  # noqa: B027 - most have nothing to give up
        """Give up connections at once; the next look makes new ones."""


def available(series: Series | None, state: State) -> Iterable[Sample]:
    """The sample that says whether a subject serves; none where its state does not tell."""
    value = state.availability
    return () if series is None or value is None else (Sample(series, value),)


def percent(part: float | None, whole: float | None) -> float | None:
    """A part in percent; None where one of both is not known, or the whole is nothing."""
    return None if part is None or not whole else 100 * part / whole


class Samples:
    """Samples of one subject, whose series are made once and kept."""

    def __init__(self, service: str | None = None, **labels: str) -> None:
        self._service = service
        self._labels = labels
        self._series: dict[str, Series] = {}  # by the metric's key, whose hash is cheap

    def series(self, metric: Metric) -> Series:
        """The subject's series of a metric."""
        found = self._series.get(metric.key)
        if found is None:
            found = self._series[metric.key] = metric.series(self._service, **self._labels)
        return found

    def of(self, values: Iterable[tuple[Metric, float | None]]) -> list[Sample]:
        """A sample for each value that is known."""
        known, found = self._series, []
        for metric, value in values:
            if value is not None:
                series = known.get(metric.key)
                found.append(Sample(self.series(metric) if series is None else series, value))
        return found
