"""Asks the monitors of the cluster's hosts, all at once, by their HTTP API."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from stellwerk.settings.files import HostFile, Member

TOKEN: Final = "monitoring.token"  # noqa: S105 - the name of a credential
TIME_LIMIT_SECONDS: Final = 5
"""Time a monitor may take to answer what it knows, and to take a connection."""


@dataclass(frozen=True)
class Answers:
    """What monitors answered, by host; and the others, each with a sentence that says why."""

    documents: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Monitors:
    """The monitors of a cluster as this host reaches them. `token`: what they want to be shown."""

    host: HostFile
    token: str | None

    async def ask(
        self,
        members: Sequence[Member],
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float = TIME_LIMIT_SECONDS,
    ) -> Answers:
        """Send the same request to the monitors of these hosts, each of which has so long."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = aiohttp.ClientTimeout(total=seconds, connect=TIME_LIMIT_SECONDS)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            found = await asyncio.gather(
                *(self._ask(session, one, method, path, body) for one in members)
            )
        documents = {one.name: answer for one, answer in zip(members, found, strict=True)
                     if not isinstance(answer, _Problem)}  # fmt: skip
        problems = {one.name: answer.sentence for one, answer in zip(members, found, strict=True)
                    if isinstance(answer, _Problem)}  # fmt: skip
        return Answers(documents, problems)

    async def _ask(
        self, session: aiohttp.ClientSession, member: Member, method: str, path: str, body: object
    ) -> Any:
        address = "127.0.0.1" if member.name == self.host.name else member.address
        url = f"http://{address}:{self.host.settings.monitoring.port}{path}"
        try:
            async with session.request(method, url, json=body) as answer:
                document = await answer.json()
        except TimeoutError:
            return _Problem("its monitor did not answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Problem(f"its monitor does not answer: {error}")
        if answer.status >= 400:
            said = document.get("error") if isinstance(document, dict) else None
            return _Problem(said or f"its monitor refused with status {answer.status}")
        return document


@dataclass(frozen=True)
class _Problem:
    sentence: str
