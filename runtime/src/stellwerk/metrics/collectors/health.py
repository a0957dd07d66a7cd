"""Services by the health endpoints of this host's instances: do they answer, how soon, what numbers
do they say of themselves.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from stellwerk.host.local_http import Answer, AnswerError, LocalHttp
from stellwerk.host.unit import Activity, Unit
from stellwerk.metrics.collectors.collector import Trouble, available
from stellwerk.metrics.collectors.instances import Instances, service_and_port
from stellwerk.metrics.declarations import service as metrics
from stellwerk.metrics.model import Sample, Series, Source
from stellwerk.metrics.reading import Gap, Reading, State

MOST_NUMBERS: Final = 100
"""Numbers of one instance that are kept: each becomes a series, with a history of its own."""

AT_BOOT: Final = Path("/etc/systemd/system/multi-user.target.wants")
"""Where systemd finds the instances that are to run, whether they do or not."""

_AGENT: Final = "stellwerk-monitor"
_LONGEST_NAME: Final = 80
_LARGEST: Final = sys.float_info.max
_NUMBERS: Final = (int, float)  # and no bool, which is an int of its own


class HealthCollector:
    """All instances of this host that run or should; `paths` are the health endpoints of services.

    One that is started, or that is stopped for good, is neither up nor down.
    """

    name: Final = "health endpoints"

    def __init__(
        self, instances: Instances, paths: Mapping[str, str], at_boot: Path = AT_BOOT
    ) -> None:
        self._instances = instances
        self._paths = paths
        self._at_boot = at_boot
        self._endpoints: dict[str, _Endpoint] = {}
        self._known: Mapping[str, Unit] = {}

    async def look(self, seconds: float) -> Sequence[Reading]:
        ends = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(ends):
                units = await self._instances.units()
        except (Trouble, TimeoutError):
            return ()  # what systemd did not say is the units' collector's to tell
        if units != self._known:
            self._follow(units)
        at = time.time()
        asked = {
            name: endpoint.http.get(self._paths[endpoint.service])
            for name, endpoint in self._endpoints.items()
        }
        if asked:
            await asyncio.wait(asked.values(), timeout=ends - asyncio.get_running_loop().time())
        return [
            *(
                self._endpoints[name].reading(at, seconds, self._paths, future)
                for name, future in asked.items()
            ),
            *self._missed(units, at),
        ]

    def close(self) -> None:
        for endpoint in self._endpoints.values():
            endpoint.http.close()
        self._endpoints.clear()
        self._known = {}

    def _follow(self, units: Mapping[str, Unit]) -> None:
        """Know the endpoints of the instances that have said that they are ready."""
        running: dict[str, tuple[str, int]] = {}
        for name, unit in units.items():
            known = service_and_port(name)
            if known is not None and known[0] in self._paths and unit.activity is Activity.RUNNING:
                running[name.removesuffix(".service")] = known
        for name in self._endpoints.keys() - running.keys():
            self._endpoints.pop(name).http.close()
        for name in running.keys() - self._endpoints.keys():
            self._endpoints[name] = _Endpoint(name, *running[name])
        self._known = units

    def _missed(self, units: Mapping[str, Unit], at: float) -> Iterator[Reading]:
        """The instances that should run and do not."""
        for name, unit in units.items():
            if unit.activity is Activity.RUNNING:
                continue
            known, problem = service_and_port(name), self._why_missed(name, unit)
            if known is not None and known[0] in self._paths and problem:
                instance = name.removesuffix(".service")
                series = metrics.AVAILABILITY.series(known[0], instance=instance)
                yield Reading(
                    Source.SERVICE,
                    instance,
                    at,
                    0.0,
                    State.DOWN,
                    f"{instance} {problem}",
                    tuple(available(series, State.DOWN)),
                )

    def _why_missed(self, name: str, unit: Unit) -> str:
        """What is wrong with a unit that does not run; empty where nothing is."""
        match unit.activity:
            case Activity.FAILED:
                return f"has failed ({unit.result})"
            case Activity.STARTING if unit.restarts:
                return f"does not come up again (restart {unit.restarts})"
            case Activity.INACTIVE if (self._at_boot / name).is_symlink():
                return "is stopped and should run"
        return ""


class _Endpoint:
    """The health endpoint of one instance."""

    def __init__(self, instance: str, service: str, port: int) -> None:
        self.service = service
        self.http = LocalHttp(port, _AGENT)
        self._instance = instance
        self._availability = metrics.AVAILABILITY.series(service, instance=instance)
        self._response_time = metrics.RESPONSE_TIME.series(service, instance=instance)
        self._own: dict[str, Series] = {}

    def reading(
        self, at: float, seconds: float, paths: Mapping[str, str], future: "asyncio.Future[Answer]"
    ) -> Reading:
        """What came of a question within so many seconds."""
        duration, state, error = seconds, State.UP, None
        samples: list[Sample] = []
        gaps: list[Gap] = []
        if not future.done():
            self.http.close()
            state = State.FROZEN
            error = f"{self._question(paths)} had no answer within {seconds:g} s"
        elif (problem := future.exception()) is not None:
            duration = 0.0
            state = _state(problem)
            error = f"{self._question(paths)} failed: {_sentence(problem)}"
        else:
            answer = future.result()
            duration = answer.seconds
            samples.append(Sample(self._response_time, 1000 * answer.seconds))
            if answer.status == 200:
                samples += self._numbers(answer.body, gaps)
            else:
                state = State.DOWN
                error = f"{self._question(paths)} was answered with status {answer.status}"
        samples += available(self._availability, state)
        return Reading(
            Source.SERVICE,
            self._instance,
            at,
            duration,
            state,
            error,
            tuple(samples),
            gaps=tuple(gaps),
        )

    def _question(self, paths: Mapping[str, str]) -> str:
        return f"{self._instance}: GET {paths[self.service]}"

    def _numbers(self, body: bytes, gaps: list[Gap]) -> list[Sample]:
        found: list[Sample] = []
        for name, value in numbers(body):
            series = self._own.get(name) or self._begin(name)
            if series is None:
                reason = (
                    f"{self._instance} says more numbers than {MOST_NUMBERS}, or some with names"
                    f" longer than {_LONGEST_NAME} signs; the others are kept"
                )
                gaps.append(Gap(State.UNSUPPORTED, reason))
                break
            found.append(Sample(series, value))
        return found

    def _begin(self, name: str) -> Series | None:
        """The series of a number that was not known so far; None where there are too many."""
        if len(self._own) >= MOST_NUMBERS or len(name) > _LONGEST_NAME:
            return None
        self._own[name] = metrics.own(name).series(self.service, instance=self._instance)
        return self._own[name]


def numbers(body: bytes) -> list[tuple[str, float]]:
    """Every number under `metrics` in a health answer; none where there are none."""
    try:
        document: Any = json.loads(body.decode())  # of bytes it would first guess the encoding
    except (ValueError, RecursionError):
        return []
    said = document.get("metrics") if isinstance(document, dict) else None
    if not isinstance(said, dict):
        return []
    return [
        (name, float(value))
        for name, value in said.items()
        if type(value) in _NUMBERS and abs(value) <= _LARGEST  # NaN is not
    ]


def _state(problem: BaseException) -> State:
    return State.UNSUPPORTED if isinstance(problem, AnswerError) else State.DOWN


def _sentence(problem: BaseException) -> str:
    return (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
