"""What a service says of itself in its health answer."""

import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from stellwerk.loadtest.watch import WatchError


class HealthSource:
    """The `metrics` in the health answer of a service."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, context: ssl.SSLContext | None
    ) -> None:
        self.name = urlsplit(url).netloc or url
        self._url = url
        self._session = session
        self._tls: ssl.SSLContext | bool = context or True

    async def read(self, seconds: float) -> Mapping[str, float]:
        """Every number of it. Raises WatchError."""
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.get(self._url, ssl=self._tls, timeout=timeout) as response:
                document = json.loads(await response.read())
        except TimeoutError:
            raise WatchError(self._url, f"no answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = "its answer is not JSON" if isinstance(error, ValueError) else str(error)
            raise WatchError(self._url, reason) from None
        readings = _numbers(document)
        if not readings:
            raise WatchError(self._url, "its answer has no numbers under metrics")
        return readings


def _numbers(document: Any) -> dict[str, float]:
    metrics = document.get("metrics") if isinstance(document, dict) else None
    return {
        str(name): float(value)
        for name, value in (metrics if isinstance(metrics, dict) else {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
