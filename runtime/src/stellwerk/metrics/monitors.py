"""Asks the monitors of the cluster's hosts, all at once, by their HTTP API."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from stellwerk.metrics.monitor.certificate import AUTHORITY
from stellwerk.settings.errors import SettingsError
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
    """The monitors of a cluster as this host reaches them. `token`: what they want to be shown;
    `authority`: with TLS between hosts, the file of whom this host trusts.
    """

    host: HostFile
    token: str | None
    authority: Path = AUTHORITY

    async def ask(
        self,
        members: Sequence[Member],
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float = TIME_LIMIT_SECONDS,
    ) -> Answers:
        """Send the same request to the monitors of these hosts, each of which has so long.

        Raises SettingsError.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = aiohttp.ClientTimeout(total=seconds, connect=TIME_LIMIT_SECONDS)
        connector = aiohttp.TCPConnector(ssl=self._tls())
        async with aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=timeout
        ) as session:
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
        settings = self.host.settings
        is_here = member.name == self.host.name
        scheme = "https" if settings.tls.enabled and not is_here else "http"
        address = "127.0.0.1" if is_here else member.address
        url = f"{scheme}://{address}:{settings.monitoring.port}{path}"
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

    def _tls(self) -> ssl.SSLContext | bool:
        """How monitors show who they are. Raises SettingsError."""
        if not self.host.settings.tls.enabled:
            return True
        try:
            return ssl.create_default_context(cafile=self.authority)
        except OSError as error:
            raise SettingsError(
                [f"{self.authority}: cannot be read: {error.strerror or error}; run the deploy"]
            ) from None


@dataclass(frozen=True)
class _Problem:
    sentence: str
