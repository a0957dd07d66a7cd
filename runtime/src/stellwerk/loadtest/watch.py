"""What the hosts say while a load test runs. A source that does not answer says nothing: never a
zero. The ways of asking are in `host_source` and `health_source`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

_ANSWER_SECONDS: Final = 2.0
_FIRST_ANSWER_SECONDS: Final = 10.0
"""Longer than any other, as connections are opened for it."""


class WatchError(Exception):
    """A source does not answer; the message is one sentence that begins with its name or URL."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: cannot be watched: {reason}")
        self.reason = reason


class Source(Protocol):
    """Something that can be asked how a host or a service is."""

    @property
    def name(self) -> str:
        """What it is called in the verdict."""

    async def read(self, seconds: float) -> Mapping[str, float]:
        """The present readings by name; percentages as cpu_percent and memory_percent, times as
        response_time_ms. Raises WatchError, also where there is no answer within so many seconds.
        """


@dataclass(frozen=True)
class Sample:
    """What one source said so many seconds after the start; no readings, but the reason, if it did
    not answer.
    """

    second: float
    source: str
    readings: Mapping[str, float]
    problem: str = ""

    @property
    def answered(self) -> bool:
        """Whether the source said anything."""
        return not self.problem


async def first_look(asked: Sequence[Source], required: Callable[[Source], bool]) -> list[Sample]:
    """What each source says before the start, as of second 0.

    Raises WatchError where a required one does not answer.
    """
    samples = []
    looks = (source.read(_FIRST_ANSWER_SECONDS) for source in asked)
    found = await asyncio.gather(*looks, return_exceptions=True)
    for source, readings in zip(asked, found, strict=True):
        if isinstance(readings, WatchError) and not required(source):
            samples.append(Sample(0.0, source.name, {}, readings.reason))
        elif isinstance(readings, BaseException):
            raise readings
        else:
            samples.append(Sample(0.0, source.name, readings))
    return samples


def summary(samples: Sequence[Sample]) -> list[str]:
    """Lines that say of a first look what is watched and what is not, and why."""
    watched = [sample.source for sample in samples if sample.answered]
    problems = {sample.source: sample.problem for sample in samples if not sample.answered}
    return [
        *([f"Watching {', '.join(watched)}."] if watched else []),
        *not_measured(problems),
    ]


def not_measured(problems: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each problem that kept sources, given by name, from answering."""
    for problem in dict.fromkeys(problems.values()):
        names = [name for name, found in problems.items() if found == problem]
        yield f"Not measured: {', '.join(names)}: {problem}."


async def watch(
    asked: Sequence[Source], interval: float, start: float, samples: list[Sample]
) -> None:
    """Ask each source every `interval` seconds after the moment `start`, until cancelled.

    None waits for another.
    """
    await asyncio.gather(*(_watch(source, interval, start, samples) for source in asked))


async def _watch(source: Source, interval: float, start: float, samples: list[Sample]) -> None:
    loop = asyncio.get_running_loop()
    number = 1
    while True:
        await asyncio.sleep(start + number * interval - loop.time())
        second = number * interval
        try:
            sample = Sample(second, source.name, await source.read(_ANSWER_SECONDS))
        except WatchError as error:
            sample = Sample(second, source.name, {}, error.reason)
        samples.append(sample)
        number = max(number + 1, int((loop.time() - start) / interval) + 1)
