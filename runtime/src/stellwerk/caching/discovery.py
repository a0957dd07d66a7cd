"""Which server is the master, as the Sentinels say, and word when that changes.

They are asked GET-MASTER-ADDR-BY-NAME: SENTINEL MASTERS names the old master for seconds after a
failover.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final

from stellwerk.caching.addresses import Endpoint, RedisAddress, Sentinels
from stellwerk.caching.connection import Connection, Reply, connect
from stellwerk.caching.errors import CacheError, RedisAwayError

_SWITCHED: Final = "+switch-master"
_RETRY_SECONDS: Final = 1.0


async def candidates(address: RedisAddress, timeout: float) -> list[Endpoint]:
    """Where the master may be, the likeliest first. Raises RedisAwayError where nobody knows."""
    if isinstance(address.at, Endpoint):
        return [address.at]
    sentinels = address.at
    answers = await asyncio.gather(
        *(_ask(sentinels, endpoint, address, timeout) for endpoint in sentinels.endpoints),
        return_exceptions=True,
    )
    votes = Counter(answer for answer in answers if isinstance(answer, Endpoint))
    if not votes:
        raise RedisAwayError(f"{address} is away: no Sentinel names its master.")
    return [endpoint for endpoint, _ in votes.most_common()]


async def follow(
    address: RedisAddress, timeout: float, switched: Callable[[Endpoint], None]
) -> None:
    """Call `switched` with the new master at every failover, until cancelled."""
    if isinstance(address.at, Sentinels):
        sentinels = address.at
        async with asyncio.TaskGroup() as group:
            for endpoint in sentinels.endpoints:
                group.create_task(_follow(sentinels, endpoint, address, timeout, switched))


async def _follow(
    sentinels: Sentinels,
    endpoint: Endpoint,
    address: RedisAddress,
    timeout: float,
    switched: Callable[[Endpoint], None],
) -> None:
    def heard(reply: Reply) -> None:
        named = _switched_to(reply, sentinels.master)
        if named is not None:
            switched(named)

    while True:
        with contextlib.suppress(CacheError):
            connection = await connect(
                endpoint, sentinels.credentials, timeout=timeout, tls=address.tls
            )
            try:
                # What happened before we listen is learned by asking, after the subscription.
                connection.listen(heard, "SUBSCRIBE", _SWITCHED)
                switched(await _ask(sentinels, endpoint, address, timeout))
                await connection.lost
            finally:
                connection.close()
        await asyncio.sleep(_RETRY_SECONDS)


async def _ask(
    sentinels: Sentinels, endpoint: Endpoint, address: RedisAddress, timeout: float
) -> Endpoint:
    connection: Connection = await connect(
        endpoint, sentinels.credentials, timeout=timeout, tls=address.tls
    )
    try:
        answer = await connection.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.master)
    finally:
        connection.close()
    if answer is None:
        raise RedisAwayError(f"The Sentinel at {endpoint} does not know {sentinels.master}.")
    return Endpoint(answer[0].decode(), int(answer[1]))


def _switched_to(reply: Reply, master: str) -> Endpoint | None:
    """The new master that a message of a Sentinel names: name, old host and port, new ones."""
    if not isinstance(reply, list) or reply[0] != b"message":
        return None
    words = reply[2].decode().split()
    if len(words) != 5 or words[0] != master:
        return None
    return Endpoint(words[3], int(words[4]))
