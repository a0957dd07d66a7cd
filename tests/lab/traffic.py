"""Clients of the lab's services while something happens to them: an open loop through HAProxy and
one through nginx, with keep-alive and with some requests that take seconds.
"""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from stellwerk.loadtest.tally import UNFINISHED
from tests.lab.platform import Platform

STELLWERK = Path(sys.executable).with_name("stellwerk")
LONGEST_SECONDS = 900
SLOW_MS = 5000
SLOW_SHARE = 0.01
END_SECONDS = 60
SERVICES = ("core", "broker", "events", "frontend")


@dataclass(frozen=True)
class Door:
    """A way in: what clients ask, and which service answers there."""

    name: str
    service: str
    url: str
    path: str = "/"


class Traffic:
    """Requests at a steady rate per door until the context ends; then what became of them.

    + seconds: they end by themselves after so long
    """

    def __init__(
        self,
        platform: Platform,
        folder: Path,
        doors: list[Door],
        rate: int,
        seconds: int = LONGEST_SECONDS,
    ) -> None:
        self._platform = platform
        self._folder = folder
        self._doors = doors
        self._rate = rate
        self._seconds = seconds
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.reports: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        for door in self._doors:
            self._processes[door.name] = self._start(door)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGINT)
        for name, process in self._processes.items():
            output, _ = process.communicate(timeout=END_SECONDS)
            report = self._report(name)
            if not report.exists():
                raise AssertionError(f"The clients of {name} left no report:\n{output}")
            self.reports[name] = json.loads(report.read_text())

    @property
    def requests(self) -> int:
        """All requests that got an end: an answer or a failure."""
        return sum(one["requests"] for one in self._endpoints())

    def requests_of(self, door: Door) -> int:
        """The same of one door."""
        return sum(one["requests"] for one in self.reports[door.name]["endpoints"])

    @property
    def failures(self) -> dict[str, int]:
        """Failed requests by door and reason; what the end itself cut short does not count."""
        found: dict[str, int] = {}
        for name, report in self.reports.items():
            for endpoint in report["endpoints"]:
                for reason, count in endpoint["failures"].items():
                    if reason != UNFINISHED:
                        key = f"{name}: {reason}"
                        found[key] = found.get(key, 0) + count
        return found

    def _endpoints(self) -> list[dict[str, Any]]:
        return [one for report in self.reports.values() for one in report["endpoints"]]

    def _start(self, door: Door) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._platform.lab.net_command(
                [
                    *(str(STELLWERK), "loadtest", "run", "steady", "--url", door.url),
                    *("--scenarios", str(self._scenario(door))),
                    *("--json", str(self._report(door.name))),
                ]
            ),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _report(self, door: str) -> Path:
        return self._folder / f"{door}.json"

    def _scenario(self, door: Door) -> Path:
        """One second in ten of waiting in all: enough for requests in flight at any moment."""
        mixes = {
            "api": {
                "quick": {"service": door.service, "path": door.path, "weight": 1 - SLOW_SHARE},
                "slow": {
                    "service": door.service,
                    "path": f"/?delay_ms={SLOW_MS}",
                    "weight": SLOW_SHARE,
                },
            }
        }
        scenario = {
            "duration_seconds": self._seconds,
            "ramp_up_seconds": 0,
            "virtual_users": 10 * self._rate,
            "requests_per_second": self._rate,
        }
        file = self._folder / f"{door.name}.yaml"
        file.write_text(
            yaml.safe_dump({"loadtest": {"scenarios": {"steady": scenario}, "mixes": mixes}})
        )
        return file


def allow_slow_requests(platform: Platform, **rollout: int) -> None:
    """Have all services, which run the sample, take their load from requests.

    `rollout` is how they are rolled where it is not as shipped.
    """
    switched = {"environment": {"SAMPLE_SWITCHES": "1"}, "rollout": rollout}
    services = {f"aktienanalyse-{name}": switched for name in SERVICES}
    (platform.folder / "group_data" / "all.py").write_text(f"services = {services!r}\n")


def doors(address: str) -> list[Door]:
    """HAProxy in front of the core, nginx in front of the frontend."""
    return [
        Door("haproxy", "aktienanalyse-core", f"http://{address}:9100"),
        Door("nginx", "aktienanalyse-frontend", f"http://{address}"),
    ]
