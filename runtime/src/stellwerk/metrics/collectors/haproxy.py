"""HAProxy by its admin socket: requests, errors, times and queues of each backend."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stellwerk.instances.agent.runtime_api import HaproxyAwayError, RuntimeApi
from stellwerk.metrics.collectors.collector import (
    Changes,
    Found,
    Samples,
    SubjectCollector,
    Trouble,
    percent,
)
from stellwerk.metrics.declarations import haproxy as metrics
from stellwerk.metrics.model import Sample, Source
from stellwerk.metrics.reading import State

_QUESTION: Final = "show stat -1 2 -1"  # of all proxies, the backends as a whole


class HaproxyCollector(SubjectCollector):
    """The HAProxy of this host; `services` names the service behind each backend."""

    def __init__(self, socket: Path, services: Mapping[str, str]) -> None:
        super().__init__(Source.HAPROXY, "HAProxy", metrics.AVAILABILITY.series())
        self._api = RuntimeApi(socket)
        self._services = services
        self._samples: dict[str, Samples] = {}
        self._changes = Changes()

    async def collect(self) -> Found:
        try:
            said = await self._api.tell([_QUESTION])
        except HaproxyAwayError as error:
            raise Trouble(State.DOWN, f"HAProxy cannot be asked: {error}") from None
        except PermissionError as error:
            raise Trouble(State.REFUSED, f"HAProxy cannot be asked: {error.strerror}") from None
        if not said.startswith("#"):
            raise Trouble(State.DOWN, "HAProxy closed its socket without an answer")
        return Found([sample for row in rows(said) for sample in self._backend(row)])

    def _backend(self, row: Mapping[str, str]) -> list[Sample]:
        name = row["# pxname"]
        if name not in self._samples:
            self._samples[name] = Samples(self._services.get(name), backend=name)
        requests, errors = float(row["req_tot"] or 0), float(row["hrsp_5xx"] or 0)
        fresh = self._changes.of((name, "requests"), requests)
        failed = self._changes.of((name, "errors"), errors)
        return self._samples[name].of(
            (
                (metrics.REQUESTS, requests),
                (metrics.ERRORS, errors),
                (metrics.ERROR_RATE, percent(failed, fresh)),
                # Of the latest requests, whenever they were: nothing new is said while none come.
                (metrics.RESPONSE_TIME, float(row["rtime"]) if fresh and row["rtime"] else None),
                (metrics.QUEUE, float(row["qcur"] or 0)),
                (metrics.SERVERS_UP, float(row["act"] or 0)),
            )
        )


def rows(said: str) -> Iterator[Mapping[str, str]]:
    """The backends in an answer to `show stat`."""
    return iter(csv.DictReader(said.strip().splitlines()))
