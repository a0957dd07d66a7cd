"""Sliding-window limits towards external providers, exact and shared by all processes.

The window is judged by the server's clock, so processes whose clocks differ share one limit.
"""

import os
from dataclasses import dataclass
from typing import Final

from stellwerk.caching.client import RedisClient
from stellwerk.caching.errors import DeclarationError
from stellwerk.caching.keys import Pattern
from stellwerk.caching.scripts import RATE
from stellwerk.settings.caching import RateLimits

_MICROSECONDS: Final = 1_000_000
_CALL_NAME_BYTES: Final = 8


@dataclass(frozen=True)
class Allowance:
    """Whether a call may be made now.

    `remaining` calls may follow in this window; otherwise the next may be made in
    `retry_after_seconds`.
    """

    allowed: bool
    remaining: int = 0
    retry_after_seconds: float = 0.0


class RateLimiter:
    """Counts calls by provider and endpoint."""

    def __init__(self, settings: RateLimits, client: RedisClient) -> None:
        self._settings = settings
        self._pattern = Pattern(settings.key_pattern)
        self._client = client

    async def acquire(self, provider: str, endpoint: str) -> Allowance:
        """Count a call if it may be made now; one that may not is not counted.

        Raises DeclarationError where the settings name no limit, RedisAwayError where nobody can
        say: the caller knows whether to wait or to go ahead.
        """
        limit = self._limit(provider, endpoint)
        key = self._pattern.filled({"provider": provider, "endpoint": endpoint})
        window = self._settings.window_seconds * _MICROSECONDS
        arguments = (window, limit, os.urandom(_CALL_NAME_BYTES))
        allowed, number = await self._client.session.run(RATE, (key,), arguments)
        if allowed:
            return Allowance(True, remaining=number)
        return Allowance(False, retry_after_seconds=number / _MICROSECONDS)

    def _limit(self, provider: str, endpoint: str) -> int:
        try:
            return self._settings.providers[provider][endpoint]
        except KeyError:
            raise DeclarationError(
                f"No limit is declared for {endpoint} of {provider}: add it to"
                " caching.rate_limits.providers."
            ) from None
