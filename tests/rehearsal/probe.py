"""Asks every door of a cluster, all the time, and notes what became of it.

As a program it runs in the lab's network; `Probe` starts it and reads its notes.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from tests.lab.lab import REPOSITORY, Lab

PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 5.0
END_SECONDS = 30.0
SERVER_ERROR = 500
ANSWERED, FAILED = "answered", "failed"


@dataclass(frozen=True)
class Tried:
    """What became of the requests to one door.

    `away_seconds` is the longest time from an answer to the next, where a request failed between.
    """

    requests: int
    failed: int
    away_seconds: float
    reasons: frozenset[str]


class Probe:
    """Requests to each door, by name and URL, until the context ends."""

    def __init__(self, lab: Lab, doors: Mapping[str, str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lab = lab
        self._doors = doors
        self._noted, self._stop = folder / "noted", folder / "stop"

    def __enter__(self) -> Self:
        for left in (self._noted, self._stop):
            left.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.rehearsal.probe"]
        arguments = [str(self._noted), str(self._stop), json.dumps(dict(self._doors))]
        self._process = subprocess.Popen(
            self._lab.net_command([*command, *arguments]),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.touch()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tried(self) -> dict[str, Tried]:
        """What became of the requests so far, by door."""
        return tried(self._text(), self._doors)

    def asked(self) -> dict[str, int]:
        """How many requests each door has had so far."""
        return {door: tried.requests for door, tried in self.tried().items()}

    def answers(self, door: str, times: int, after: int) -> bool:
        """Whether the last so many requests to a door, all later than `after`, were answered."""
        outcomes = [line.split(" ", 3)[1] for line in self._lines() if line.startswith(f"{door} ")]
        return len(outcomes) >= after + times and set(outcomes[-times:]) == {ANSWERED}

    def _lines(self) -> list[str]:
        return self._text().splitlines()

    def _text(self) -> str:
        text = self._noted.read_text() if self._noted.exists() else ""
        return text[: text.rfind("\n") + 1]  # without a line that is being written


def tried(noted: str, doors: Mapping[str, str]) -> dict[str, Tried]:
    """Read notes: lines of door, outcome, time in seconds, reason."""
    rows = [line.split(" ", 3) for line in noted.splitlines()]
    found = {}
    for door in doors:
        own = [(outcome, float(at), reason) for name, outcome, at, reason in rows if name == door]
        found[door] = Tried(
            requests=len(own),
            failed=sum(outcome == FAILED for outcome, _, _ in own),
            away_seconds=_away((outcome, at) for outcome, at, _ in own),
            reasons=frozenset(reason for outcome, _, reason in own if outcome == FAILED),
        )
    return found


def _away(outcomes: Iterable[tuple[str, float]]) -> float:
    """The longest time from an answer to the next, or to the last failure, across failures."""
    longest, answered, failed = 0.0, None, False
    for outcome, at in outcomes:
        answered = at if answered is None else answered
        failed = failed or outcome == FAILED
        if failed:
            longest = max(longest, at - answered)
        if outcome == ANSWERED:
            answered, failed = at, False
    return longest


async def ask(door: str, url: str, noted: Path, stop: Path) -> None:
    """Ask one door until the stop file is there, each time over what connection there is."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while not stop.exists():
            outcome, reason = ANSWERED, "-"
            try:
                async with session.get(url) as answer:
                    await answer.read()
                    if answer.status >= SERVER_ERROR:
                        outcome, reason = FAILED, f"answers {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                outcome, reason = FAILED, type(error).__name__
            with noted.open("a") as file:
                file.write(f"{door} {outcome} {time.monotonic():.3f} {reason}\n")
            await asyncio.sleep(PAUSE_SECONDS)


async def _main() -> None:
    noted, stop, doors = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    await asyncio.gather(*(ask(name, url, noted, stop) for name, url in doors.items()))


if __name__ == "__main__":
    asyncio.run(_main())
