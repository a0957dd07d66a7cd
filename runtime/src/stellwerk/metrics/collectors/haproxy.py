"""HAProxy by its admin socket: requests, errors, times and queues of each backend, and how long
its latest requests took.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stellwerk.instances.agent.runtime_api import BRIDGE_VARIABLE, HaproxyAwayError, RuntimeApi
from stellwerk.metrics.collectors.collector import (
    Found,
    Samples,
    SubjectCollector,
    Trouble,
)
from stellwerk.metrics.collectors.haproxy_log import RING, RequestLog
from stellwerk.metrics.collectors.requests import Requests
from stellwerk.metrics.declarations import haproxy as metrics
from stellwerk.metrics.model import Sample, Source
from stellwerk.metrics.rates import Share
from stellwerk.metrics.reading import Gap, State

_QUESTIONS: Final = (
    f"show env {BRIDGE_VARIABLE}",
    "show stat -1 2 -1",  # of all proxies, the backends as a whole
    f"show events {RING}",
)
_NO_RING: Final = "No such event sink"
_BRIDGE: Final = Gap(
    State.DOWN,
    "A bridge serves for haproxy.service: start that, unless it is being restarted just now",
)


class HaproxyCollector(SubjectCollector):
    """The HAProxy of this host; `services` names the service behind each backend. `requests` counts
    the latest requests, as far as it is of their services.
    """

    def __init__(self, socket: Path, services: Mapping[str, str], requests: Requests) -> None:
        super().__init__(Source.HAPROXY, "HAProxy", metrics.AVAILABILITY.series())
        self._api = RuntimeApi(socket)
        self._services = services
        self._requests = requests
        self._log = RequestLog()
        self._backends: dict[str, _Backend] = {}

    async def collect(self) -> Found:
        try:
            said = await self._api.tell(_QUESTIONS)
        except HaproxyAwayError as error:
            raise Trouble(State.DOWN, f"HAProxy cannot be asked: {error}") from None
        except PermissionError as error:
            raise Trouble(State.REFUSED, f"HAProxy cannot be asked: {error.strerror}") from None
        environment, _, said = said.partition("\n\n")
        if not said.startswith("#"):
            raise Trouble(State.DOWN, "HAProxy closed its socket without an answer")
        samples: list[Sample] = []
        gaps = [_BRIDGE] if environment.startswith(BRIDGE_VARIABLE) else []
        statistics, _, shown = said.partition("\n\n")
        for row in rows(statistics):
            name = row["# pxname"]
            if name not in self._backends:
                self._backends[name] = _Backend(Samples(self._services.get(name), backend=name))
            samples += self._backends[name].samples(row)
        if shown.startswith(_NO_RING):
            gaps.append(Gap(State.MISSING, f"HAProxy has no ring {RING!r}: run the deploy"))
            return Found(samples, gaps=gaps)
        for one in self._log.fresh(shown):
            self._requests.add(
                one.backend.encode(), one.method.encode(), one.path.encode(), one.seconds
            )
        return Found(samples, self._requests.take(), gaps)


class _Backend:
    """What is remembered of a backend between two looks."""

    def __init__(self, of_this: Samples) -> None:
        self._of_this = of_this
        self._errors = Share()
        self._requests = 0.0

    def samples(self, row: Mapping[str, str]) -> list[Sample]:
        requests, errors = float(row["req_tot"] or 0), float(row["hrsp_5xx"] or 0)
        # Of the latest requests, whenever they were: nothing is said while no new ones come.
        is_fresh = 0 < self._requests < requests and row["rtime"]
        self._requests = requests
        return self._of_this.of(
            (
                (metrics.REQUESTS, requests),
                (metrics.ERRORS, errors),
                (metrics.ERROR_RATE, self._errors.percent(errors, requests - errors)),
                (metrics.RESPONSE_TIME, float(row["rtime"]) if is_fresh else None),
                (metrics.QUEUE, float(row["qcur"] or 0)),
                (metrics.SERVERS_UP, float(row["act"] or 0)),
            )
        )


def rows(said: str) -> Iterator[Mapping[str, str]]:
    """The backends in an answer to `show stat`."""
    return iter(csv.DictReader(said.strip().splitlines()))
