"""Redis as a cache without layers: finding the master through the Sentinels, get and put.

A Redis that is away costs a request at most a third of a second once, and nothing while it stays
away.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stellwerk.endpoint import Endpoint
from stellwerk.sample.answer import KeyedCache
from stellwerk.sample.availability import PROBE_SECONDS, Availability
from stellwerk.sample.configuration import CacheAddress, Password

_CONNECTIONS: Final = 10
_OPERATION_SECONDS: Final = 0.3
_PROBE_LIFETIME_SECONDS: Final = int(5 * PROBE_SECONDS)
_ERRORS = (RedisError, OSError, TimeoutError)

_T = TypeVar("_T")


class RedisCache(KeyedCache):
    """Get and put that never raise: a cache that cannot answer has nothing.

    redis-py's own Sentinel client asks SENTINEL MASTERS, which names the old master for seconds
    after a failover; this one asks GET-MASTER-ADDR-BY-NAME of all Sentinels at every probe and
    follows what most of them say.
    """

    def __init__(self, address: CacheAddress, probe_key: str) -> None:
        self._address = address
        self._probe_key = probe_key
        self._sentinels = [
            _client(endpoint, None, address.sentinel_password, address.tls_ca)
            for endpoint in address.sentinels
        ]
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._master: Endpoint | None = None
        self._client: Redis | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.availability = Availability(f"Redis {address.master}")

    async def get(self, key: str) -> bytes | None:
        """The value, or None: not there, or Redis is away."""
        value = await self._call(lambda client: client.get(key))
        return value if isinstance(value, bytes) else None

    async def put(self, key: str, value: bytes, lifetime_seconds: int) -> None:
        """Keep the value for so long, where Redis can be reached."""
        await self._call(lambda client: client.set(key, value, ex=lifetime_seconds))

    async def probe(self) -> None:
        """Find the master and write to it, which shows at once that it is one and that we may."""
        try:
            await self._use_master()
        except _ERRORS as error:
            self._lose(error)
        else:
            self.availability.found()

    async def close(self) -> None:
        """Close the connections."""
        self._drop()
        await asyncio.gather(
            *self._closing,
            *(sentinel.aclose() for sentinel in self._sentinels),
            return_exceptions=True,
        )

    async def _call(self, action: Callable[[Redis], Awaitable[_T]]) -> _T | None:
        client = self._client
        if client is None:
            return None
        try:
            async with self._slots:
                # Those who waited for a slot while Redis was lost must not each wait for it too.
                if client is not self._client:
                    return None
                async with asyncio.timeout(_OPERATION_SECONDS):
                    return await action(client)
        except _ERRORS as error:
            if client is self._client:
                self._lose(error)
            return None

    async def _use_master(self) -> None:
        named = await self._named_masters()
        candidates = named or ([self._master] if self._master and self._client else [])
        failure: Exception = ConnectionError("no Sentinel names its master")
        for candidate in candidates:
            try:
                await self._try_master(candidate)
            except _ERRORS as error:
                failure = error
            else:
                return
        raise failure

    async def _named_masters(self) -> list[Endpoint]:
        """The addresses that the Sentinels give, the one most of them give first."""
        answers = await asyncio.gather(
            *(self._ask(sentinel) for sentinel in self._sentinels), return_exceptions=True
        )
        votes = Counter(answer for answer in answers if isinstance(answer, Endpoint))
        return [endpoint for endpoint, _ in votes.most_common()]

    async def _ask(self, sentinel: Redis) -> Endpoint | None:
        async with asyncio.timeout(_OPERATION_SECONDS):
            answer: Any = await sentinel.sentinel_get_master_addr_by_name(self._address.master)
        return Endpoint(answer[0].decode(), answer[1]) if answer else None

    async def _try_master(self, endpoint: Endpoint) -> None:
        client = self._client
        if client is None or endpoint != self._master:
            address = self._address
            client = _client(endpoint, address.user, address.password, address.tls_ca)
        try:
            async with asyncio.timeout(_OPERATION_SECONDS):
                await client.set(self._probe_key, b"1", ex=_PROBE_LIFETIME_SECONDS)
        except _ERRORS:
            if client is not self._client:
                self._close_later(client)
            raise
        if client is not self._client:
            self._drop()
            self._client, self._master = client, endpoint

    def _lose(self, error: Exception) -> None:
        self._drop()
        self.availability.lost(" ".join(str(error).split()) or "no answer in time")

    def _drop(self) -> None:
        if self._client is not None:
            self._close_later(self._client)
            self._client = None

    def _close_later(self, client: Redis) -> None:
        task = asyncio.ensure_future(_close(client))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _client(
    endpoint: Endpoint, user: str | None, password: Password | None, tls_ca: Path | None
) -> Redis:
    return Redis(
        host=endpoint.host,
        port=endpoint.port,
        username=user,
        password=password.value if password else None,
        socket_connect_timeout=_OPERATION_SECONDS,
        socket_timeout=_OPERATION_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        ssl=tls_ca is not None,
        ssl_ca_certs=str(tls_ca) if tls_ca else None,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
    )


async def _close(client: Redis) -> None:
    """Close one that may be dead, which redis-py reports as an error of its own."""
    try:
        await client.aclose()
    except _ERRORS:
        return
