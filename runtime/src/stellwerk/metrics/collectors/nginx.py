"""nginx by its status page and its access log: connections, and of each upstream requests, errors
and times.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellwerk.host.growing_file import GrowingFile
from stellwerk.host.local_http import AnswerError, LocalHttp
from stellwerk.metrics.collectors.collector import (
    Found,
    Samples,
    SubjectCollector,
    Trouble,
    percent,
)
from stellwerk.metrics.collectors.requests import Requests
from stellwerk.metrics.declarations import nginx as metrics
from stellwerk.metrics.model import Sample, Source
from stellwerk.metrics.reading import Gap, State

STATUS_PATH: Final = "/status"

_MOST_READS: Final = 16  # of a mebibyte each, at one look; what is left is read at the next
_STATUS: Final = re.compile(
    rb"Active connections: (\d+).*Reading: (\d+) Writing: (\d+) Waiting: (\d+)", re.DOTALL
)


class NginxCollector(SubjectCollector):
    """The nginx of this host; `services` names the service behind each upstream."""

    def __init__(
        self, status_port: int, log: Path, services: Mapping[str, str], requests: Requests
    ) -> None:
        super().__init__(Source.NGINX, "nginx", metrics.AVAILABILITY.series())
        self._http = LocalHttp(status_port, "stellwerk-monitor")
        self._path = log
        self._log = GrowingFile(log)
        self._log.open_at_end()
        self._requests = requests
        self._samples = Samples()
        self._upstreams = {
            name.encode(): _Upstream(Samples(service, backend=name))
            for name, service in services.items()
        }

    async def collect(self) -> Found:
        samples = await self._status()
        if not self._path.is_file():
            gap = Gap(State.MISSING, f"{self._path} is not there: requests are not known")
            return Found(samples, gaps=(gap,))
        await self._read_log()
        for upstream in self._upstreams.values():
            samples += upstream.samples()
        return Found(samples, self._requests.take())

    async def _status(self) -> list[Sample]:
        try:
            answer = await self._http.get(STATUS_PATH)
        except OSError as error:
            raise Trouble(State.DOWN, f"nginx cannot be asked: {error.strerror}") from None
        except AnswerError as error:
            raise Trouble(State.UNSUPPORTED, f"nginx's status is not understood: {error}") from None
        found = _STATUS.match(answer.body)
        if answer.status != 200 or found is None:
            raise Trouble(
                State.MISSING,
                f"nginx has no status page (status {answer.status}): run the deploy",
            )
        active, reading, writing, _ = map(int, found.groups())
        return self._samples.of(  # without the request that asks
            ((metrics.CONNECTIONS, active - 1), (metrics.QUEUE, reading + writing - 1))
        )

    async def _read_log(self) -> None:
        for _ in range(_MOST_READS):
            lines = self._log.lines()
            for line in lines:
                self._count(line)
            if not lines:
                break
            await asyncio.sleep(0)

    def _count(self, line: bytes) -> None:
        fields = line.split(b"\t")
        if len(fields) != 9:
            return
        _, backend, _, _, status, _, times, method, path = fields
        seconds = _seconds(times)
        upstream = self._upstreams.get(backend)
        if upstream is not None:
            upstream.requests += 1
            upstream.errors += status >= b"500"
        if seconds is not None:
            self._requests.add(backend, method, path, seconds)
            if upstream is not None:
                upstream.time += seconds
                upstream.timed += 1

    def close(self) -> None:
        self._http.close()


@dataclass
class _Upstream:
    """What the log said of an upstream since this process started; times since the last look."""

    of_this: Samples
    requests: int = 0
    errors: int = 0
    time: float = 0.0
    timed: int = 0
    before: tuple[int, int] = (0, 0)

    def samples(self) -> list[Sample]:
        fresh, failed = self.requests - self.before[0], self.errors - self.before[1]
        average = 1000 * self.time / self.timed if self.timed else None
        self.before, self.time, self.timed = (self.requests, self.errors), 0.0, 0
        return self.of_this.of(
            (
                (metrics.REQUESTS, self.requests),
                (metrics.ERRORS, self.errors),
                (metrics.ERROR_RATE, percent(failed, fresh)),
                (metrics.RESPONSE_TIME, average),
            )
        )


def _seconds(times: bytes) -> float | None:
    """The time of all attempts: "0.004", or "0.001, 0.003 : 0.002"; None where nobody was asked."""
    try:
        return float(times)
    except ValueError:
        found = [float(time) for time in re.findall(rb"\d+\.\d+", times)]
        return sum(found) if found else None
