"""The services' own metrics, as far as anybody measures them: the interface and one way to them."""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp

from stellwerk.instances.model import InstanceKey

ANSWER_SECONDS: Final = 2.0
"""After that an instance has no metrics this time."""

_AT_ONCE: Final = 32
_LONGEST_ANSWER: Final = 64 * 1024
_MOST_METRICS: Final = 100


@dataclass(frozen=True)
class Target:
    """An instance that serves, and where its health is asked."""

    key: InstanceKey
    address: str
    path: str


class Source(Protocol):
    """Where the services' own metrics come from."""

    async def metrics(self, targets: Iterable[Target]) -> Mapping[InstanceKey, Mapping[str, float]]:
        """The present values by name, which may be none. An instance that does not answer, or not
        well, is left out; nothing is raised, and it takes a few seconds at most.
        """


class HealthAnswers:
    """Asks the instances themselves: every number under `metrics` in their health answers."""

    async def metrics(self, targets: Iterable[Target]) -> Mapping[InstanceKey, Mapping[str, float]]:
        """See `Source`."""
        turn = asyncio.Semaphore(_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            asked = {one.key: _ask(session, one, turn) for one in targets}
            answers = await asyncio.gather(*asked.values())
        return {
            key: answer
            for key, answer in zip(asked.keys(), answers, strict=True)
            if answer is not None
        }


async def _ask(
    session: aiohttp.ClientSession, target: Target, turn: asyncio.Semaphore
) -> Mapping[str, float] | None:
    host = f"[{target.address}]" if ":" in target.address else target.address
    url = f"http://{host}:{target.key.port}{target.path}"
    try:
        async with turn, session.get(url, allow_redirects=False) as response:
            if not response.ok:
                return None
            return numbers(await response.content.read(_LONGEST_ANSWER))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


def numbers(answer: bytes) -> dict[str, float]:
    """The numbers under `metrics` in a health answer; none where there is no such thing."""
    try:
        document: Any = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    metrics = document.get("metrics") if isinstance(document, dict) else None
    if not isinstance(metrics, dict):
        return {}
    found = (
        (name, float(value))
        for name, value in list(metrics.items())[:_MOST_METRICS]
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return {name: value for name, value in found if math.isfinite(value)}
