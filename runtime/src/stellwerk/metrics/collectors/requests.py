"""How long a balancer's requests took, per service and per endpoint that has baselines. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from stellwerk.metrics.declarations.service import REQUEST
from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.model import Series
from stellwerk.metrics.reading import Observed


class Requests:
    """Durations since they were last taken.

    `services` names the service behind each backend, `endpoints` those of a service as "GET /path".
    """

    def __init__(self, services: Mapping[str, str], endpoints: Mapping[str, Iterable[str]]) -> None:
        self._services = {
            backend.encode(): _Service(service, endpoints.get(service, ()))
            for backend, service in services.items()
        }

    def add(self, backend: bytes, method: bytes, path: bytes, seconds: float) -> None:
        """Count a request; one to a backend of no service is not counted."""
        service = self._services.get(backend)
        if service is not None:
            service.add(method, path, seconds)

    def take(self) -> list[Observed]:
        """What was counted, and begin anew."""
        return [found for service in self._services.values() for found in service.take()]


class _Service:
    """Durations of one service. A request belongs to the most specific endpoint above its path."""

    def __init__(self, name: str, endpoints: Iterable[str]) -> None:
        self._all: Final = _Durations(REQUEST.series(name))
        known = sorted(endpoints, key=len, reverse=True)
        self._endpoints = [
            (method.encode(), path.encode(), _Durations(REQUEST.series(name, endpoint=one)))
            for one in known
            for method, _, path in (one.partition(" "),)
        ]

    def add(self, method: bytes, path: bytes, seconds: float) -> None:
        self._all.histogram.add(seconds)
        for its_method, its_path, durations in self._endpoints:
            if method == its_method and _is_below(path, its_path):
                durations.histogram.add(seconds)
                break

    def take(self) -> Iterable[Observed]:
        for durations in (self._all, *(one for _, _, one in self._endpoints)):
            if durations.histogram.count:
                yield durations.take()


class _Durations:
    __slots__ = ("histogram", "series")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.histogram = Histogram()

    def take(self) -> Observed:
        taken, self.histogram = self.histogram, Histogram()
        return Observed(self.series, taken)


def _is_below(path: bytes, endpoint: bytes) -> bool:
    return path.startswith(endpoint) and path[len(endpoint) : len(endpoint) + 1] in (b"", b"/")
