"""What the hosts say while a load test runs. A source that does not answer says nothing: never a
zero.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import psutil

_ANSWER_SECONDS: Final = 2.0


class WatchError(Exception):
    """A source does not answer; the message is one sentence."""


class Source(Protocol):
    """Something that can be asked how a host or a service is."""

    @property
    def name(self) -> str:
        """What it is called in the verdict."""

    async def read(self) -> Mapping[str, float]:
        """The present readings by name; percentages as cpu_percent and memory_percent, times as
        response_time_ms. Raises WatchError.
        """


@dataclass(frozen=True)
class Sample:
    """What one source said so many seconds after the start; no readings if it did not answer."""

    second: float
    source: str
    readings: Mapping[str, float]

    @property
    def answered(self) -> bool:
        """Whether the source said anything."""
        return bool(self.readings)


class LocalSource:
    """This machine: it is right to watch where the services run here as well."""

    name = "this machine"

    def __init__(self) -> None:
        psutil.cpu_percent()  # utilisation is measured from call to call; the first has no meaning

    async def read(self) -> Mapping[str, float]:
        """CPU since the last reading, and memory now."""
        return {
            "cpu_percent": psutil.cpu_percent(),
            "memory_percent": psutil.virtual_memory().percent,
        }


class HealthSource:
    """The `metrics` in the health answer of a service."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, context: ssl.SSLContext | None
    ) -> None:
        self.name = urlsplit(url).netloc or url
        self._url = url
        self._session = session
        self._tls: ssl.SSLContext | bool = context or True

    async def read(self) -> Mapping[str, float]:
        """Every number of it. Raises WatchError."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with self._session.get(self._url, ssl=self._tls, timeout=timeout) as response:
                document = json.loads(await response.read())
        except TimeoutError:
            raise WatchError(f"{self._url}: no answer within {_ANSWER_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = "its answer is not JSON" if isinstance(error, ValueError) else str(error)
            raise WatchError(f"{self._url}: cannot be watched: {reason}") from None
        readings = _numbers(document)
        if not readings:
            raise WatchError(f"{self._url}: has no numbers under metrics to watch")
        return readings


@asynccontextmanager
async def sources(
    urls: Sequence[str], *, local: bool, authority_file: str | None
) -> AsyncIterator[list[Source]]:
    """The sources, each of which has answered once. Raises WatchError and OSError."""
    context = ssl.create_default_context(cafile=authority_file) if authority_file else None
    async with aiohttp.ClientSession() as session:
        found: list[Source] = [HealthSource(session, url, context) for url in urls]
        for source in found:
            await source.read()
        yield [*found, *([LocalSource()] if local else [])]


async def watch(
    asked: Sequence[Source], interval: float, start: float, samples: list[Sample]
) -> None:
    """Ask all sources every `interval` seconds after the moment `start`, until cancelled."""
    loop = asyncio.get_running_loop()
    number = 1
    while True:
        await asyncio.sleep(start + number * interval - loop.time())
        second = number * interval
        samples += await asyncio.gather(*(_sample(source, second) for source in asked))
        number = max(number + 1, int((loop.time() - start) / interval) + 1)


async def _sample(source: Source, second: float) -> Sample:
    try:
        return Sample(second, source.name, await source.read())
    except WatchError:
        return Sample(second, source.name, {})


def _numbers(document: Any) -> dict[str, float]:
    metrics = document.get("metrics") if isinstance(document, dict) else None
    return {
        str(name): float(value)
        for name, value in (metrics if isinstance(metrics, dict) else {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
