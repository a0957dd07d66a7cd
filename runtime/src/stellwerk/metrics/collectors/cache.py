"""The cache by what its daemon on this host says: counters of processes, and memory, per layer."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from stellwerk.host.local_http import AnswerError, LocalHttp
from stellwerk.metrics.collectors.collector import (
    Found,
    Samples,
    SubjectCollector,
    Trouble,
    percent,
)
from stellwerk.metrics.declarations import cache as metrics
from stellwerk.metrics.model import Metric, Sample, Source
from stellwerk.metrics.rates import Share
from stellwerk.metrics.reading import Gap, State

_AGENT: Final = "stellwerk-monitor"
_PATH: Final = "/figures"
_AWAY: Final = 503
_MEGABYTE: Final = 1024 * 1024

Layers = Mapping[str, Mapping[str, float]]


class CacheCollector(SubjectCollector):
    """The cache daemon of this host. Where Redis is away nothing is known but that."""

    def __init__(self, port: int) -> None:
        super().__init__(Source.CACHE, "cache daemon", metrics.AVAILABILITY.series())
        self._http = LocalHttp(port, _AGENT)
        self._layers: dict[str, _Layer] = {}
        self._all = Samples()
        self._reads = Share()

    async def collect(self) -> Found:
        try:
            answer = await self._http.get(_PATH)
        except AnswerError as error:
            raise Trouble(State.UNSUPPORTED, f"the cache daemon's answer: {error}") from None
        except OSError as error:
            raise Trouble(
                State.DOWN, f"the cache daemon does not answer: {error.strerror or error}"
            ) from None
        if answer.status == _AWAY:
            gap = Gap(State.DOWN, "the cache daemon does not reach Redis, so that nothing is known")
            return Found(gaps=(gap,))
        if answer.status != 200:
            raise Trouble(State.UNSUPPORTED, f"the cache daemon answered {answer.status}")
        return Found([*self._samples(_layers(answer.body))])

    def close(self) -> None:
        self._http.close()

    def _samples(self, layers: Layers) -> Iterator[Sample]:
        for name, numbers in layers.items():
            layer = self._layers.get(name) or self._layers.setdefault(name, _Layer(name))
            yield from layer.samples(numbers)
        yield from self._all.of(
            (
                (metrics.MISS_RATE, self._reads.percent(*_totals(layers, "misses", "hits"))),
                (metrics.MEMORY_USE, percent(*_totals(layers, "bytes", "budget"))),
            )
        )


class _Layer:
    """A layer from one look to the next."""

    def __init__(self, name: str) -> None:
        self._samples = Samples(layer=name)
        self._reads = Share()
        self._time = _Mean()

    def samples(self, numbers: Mapping[str, float]) -> list[Sample]:
        """A layer that nobody here has used says nothing but its memory."""
        used = numbers.get("bytes")
        return self._samples.of(
            (
                *self._counted(numbers),
                (metrics.LAYER_MEMORY, None if used is None else used / _MEGABYTE),
                (metrics.LAYER_MEMORY_USE, percent(used, numbers.get("budget"))),
            )
        )

    def _counted(self, numbers: Mapping[str, float]) -> list[tuple[Metric, float | None]]:
        hits, misses = numbers.get("hits", 0), numbers.get("misses", 0)
        found: list[tuple[Metric, float | None]] = [
            (metric, numbers.get(name)) for metric, name in _COUNTERS
        ]
        mean = self._time.since(numbers.get("response_ms", 0), numbers.get("responses", 0))
        found.append((metrics.LAYER_HIT_RATE, self._reads.percent(hits, misses)))
        found.append((metrics.OPERATION, mean))
        return found


class _Mean:
    """The mean of what was added to a growing sum since the last look."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def since(self, total: float, number: float) -> float | None:
        """None on the first look, after a restart of the count, or where nothing was added."""
        before, self._before = self._before, (total, number)
        if before is None or number <= before[1] or total < before[0]:
            return None
        return (total - before[0]) / (number - before[1])


_COUNTERS: Final = (
    (metrics.HITS, "hits"),
    (metrics.MISSES, "misses"),
    (metrics.SETS, "sets"),
    (metrics.DELETES, "deletes"),
    (metrics.EVICTIONS, "evictions"),
)


def _totals(layers: Layers, *names: str) -> tuple[float, ...]:
    return tuple(sum(one.get(name, 0) for one in layers.values()) for name in names)


def _layers(body: bytes) -> Layers:
    document: Any = json.loads(body)
    found: Layers = document["layers"]
    return found
