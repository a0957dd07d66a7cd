"""A host that is asked through one process for the whole run, `ssh` as a rule: a handshake for each
reading would be load of its own.
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from stellwerk.loadtest.counters import Counters
from stellwerk.loadtest.watch import WatchError

_MOST_UNANSWERED: Final = 3
"""Questions in a row without an answer after which the process is given up."""
_FIRST_DELAY_SECONDS: Final = 4.0
_LONGEST_DELAY_SECONDS: Final = 60.0
_LINES_OF_REASON: Final = 2
_END_SECONDS: Final = 1.0


class HostSource:
    """A host and the process through which it answers. One that ended is started again at a later
    reading: after 4 s, then after twice as long each time, up to 60 s.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self._process: Process | None = None
        self._number = 0
        self._before: Counters | None = None
        self._unanswered = 0
        self._problem = ""
        self._delay = _FIRST_DELAY_SECONDS
        self._next_start = 0.0

    async def read(self, seconds: float) -> Mapping[str, float]:
        """Memory now, and CPU since the last answer: not with the first one of a process."""
        process = self._process or await self._start()
        try:
            async with asyncio.timeout(seconds):
                counters = await self._ask(process)
        except TimeoutError:
            self._problem = f"no answer within {seconds:g} s"
            self._unanswered += 1
            if self._unanswered >= _MOST_UNANSWERED:
                await self._give_up(process)
            raise WatchError(self.name, self._problem) from None
        except EOFError:
            said = await self._give_up(process)
            self._problem = said or f"{self._command[0]} ended with code {process.returncode}"
            raise WatchError(self.name, self._problem) from None
        self._unanswered = 0
        self._delay = _FIRST_DELAY_SECONDS
        before, self._before = self._before, counters
        cpu = counters.cpu_percent(before) if before else None
        return {
            **({} if cpu is None else {"cpu_percent": round(cpu, 1)}),
            "memory_percent": round(counters.memory_percent, 1),
        }

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await _end(self._process)
            self._process = None

    async def _start(self) -> Process:
        if asyncio.get_running_loop().time() < self._next_start:
            raise WatchError(self.name, self._problem)
        # Ctrl-C goes to every process of the terminal's group; this one ends with the run.
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
        )
        try:
            self._process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._process = await starting  # a start cut short would leave it to nobody
            raise
        except OSError as error:
            problem = f"{self._command[0]} cannot be started: {error.strerror}"
            raise WatchError(self.name, problem) from None
        self._before = None
        self._unanswered = 0
        return self._process

    async def _ask(self, process: Process) -> Counters:
        """The answer to one question; earlier ones that come only now are passed over, and so is
        what a login prints. Raises EOFError where the process ends.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        self._number += 1
        process.stdin.write(f"{self._number}\n".encode())
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # longer than any answer
            if not line:
                raise EOFError
            number, _, text = line.decode(errors="replace").strip().partition(" ")
            if number != str(self._number):
                continue
            counters = Counters.parse(text)
            if counters is None:
                raise WatchError(self.name, "its /proc has no CPU and memory as Linux has")
            return counters

    async def _give_up(self, process: Process) -> str:
        """End the process, to be started again after a while; what it said last."""
        self._process = None
        self._next_start = asyncio.get_running_loop().time() + self._delay
        self._delay = min(2 * self._delay, _LONGEST_DELAY_SECONDS)
        return _reason(await _end(process))


async def _end(process: Process) -> bytes:
    """Make sure that a process and those it started are gone; what is left of its errors."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.close()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    said = b""
    # What left the group of the process may hold its pipes open.
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            said = await process.stderr.read()
            await process.wait()
    return said


def _reason(said: bytes) -> str:
    """The last lines of what was said, as one."""
    text = "".join(c if c.isprintable() else "\n" for c in said.decode(errors="replace"))
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-_LINES_OF_REASON:])
