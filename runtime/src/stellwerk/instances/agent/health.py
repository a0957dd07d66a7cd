"""Asks an instance on this host whether it is healthy, and when it counts as failed.

Written for a loop of many small questions: an HTTP client library would be most of the agent.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from stellwerk.host.unit import Activity, Unit
from stellwerk.instances.configuration import ServiceFigures
from stellwerk.instances.facts import Health

PAUSE_SECONDS: Final = 1.0
"""Between two tries of an instance that is not healthy yet."""

_LINE_BYTES: Final = 4096


async def check(port: int, path: str, timeout: float) -> str:
    """Ask once; empty if the answer is 200, else what was wrong. `timeout` is in seconds."""
    try:
        async with asyncio.timeout(timeout):
            status = await _status(port, path)
    except TimeoutError:
        return f"GET {path} had no answer within {timeout:g} s"
    except OSError as error:
        return f"GET {path} failed: {error.strerror or error}"
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return f"GET {path} was not answered in HTTP"
    return "" if status == 200 else f"GET {path} was answered with status {status}"


async def watch(
    port: int, figures: ServiceFigures, unit: Callable[[], Unit], pause: float = PAUSE_SECONDS
) -> tuple[str, Health]:
    """Try until the instance is healthy or counts as failed; with the invocation that was asked.

    Failed tries within the service's grace after a start do not count. An instance that does not
    say READY=1, or is restarted by systemd again and again, fails when its whole time is over.
    """
    limit = figures.start_timeout + figures.health_grace
    limit += figures.health_tries * (figures.health_timeout + pause)
    ends = time.monotonic() + limit
    invocation, failures, problem = "", 0, "it did not say that it is ready"
    while True:
        seen = unit()
        if seen.activity is Activity.RUNNING:
            if seen.invocation != invocation:
                invocation, failures = seen.invocation, 0
            problem = await check(port, figures.health_path, figures.health_timeout)
            if not problem:
                return invocation, Health(passed=True)
            failures += _counts(seen, figures.health_grace)
            if failures >= figures.health_tries:
                return invocation, Health(failure=f"{problem}, {failures} times")
        if time.monotonic() >= ends:
            return invocation, Health(failure=f"not healthy within {limit:g} s: {problem}")
        await asyncio.sleep(pause)


def _counts(unit: Unit, grace: float) -> bool:
    """Whether a failed try counts: the unit has run for longer than its grace."""
    return unit.running_since is None or time.monotonic() - unit.running_since > grace


async def _status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LINE_BYTES)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "User-Agent: stellwerk-agent\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        line = await reader.readuntil(b"\r\n")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    protocol, status, *_ = line.decode("latin-1").split()
    if not protocol.startswith("HTTP/1."):
        raise ValueError(protocol)
    return int(status)
