"""Which server is the master, as the Sentinels say, and word before and when that changes.

They are asked GET-MASTER-ADDR-BY-NAME: SENTINEL MASTERS names the old master for seconds after a
failover. The one that leads a failover says which replica it has chosen a tenth of a second before
it promotes it, while all the others, and itself, name the old master for a second more.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

from stellwerk.caching.addresses import RedisAddress, Sentinels
from stellwerk.caching.connection import Connection, Reply, connect
from stellwerk.caching.errors import CacheError, RedisAwayError
from stellwerk.endpoint import Endpoint

_SWITCHED: Final = b"+switch-master"
_CHOSEN: Final = b"+selected-slave"
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Promotion:
    """A replica that is about to become the master in place of another."""

    of: Endpoint
    instead_of: Endpoint


class Watcher(Protocol):
    """Who is told what the Sentinels say."""

    def promoting(self, promotion: Promotion) -> None:
        """A replica is promoted within a moment; its master goes on taking writes, in vain."""

    def switched(self, master: Endpoint) -> None:
        """This is the master now."""


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


async def follow(address: RedisAddress, timeout: float, watcher: Watcher) -> None:
    """Tell `watcher` of every failover, until cancelled."""
    if isinstance(address.at, Sentinels):
        sentinels = address.at
        async with asyncio.TaskGroup() as group:
            for endpoint in sentinels.endpoints:
                group.create_task(_follow(sentinels, endpoint, address, timeout, watcher))


async def _follow(
    sentinels: Sentinels,
    endpoint: Endpoint,
    address: RedisAddress,
    timeout: float,
    watcher: Watcher,
) -> None:
    def heard(reply: Reply) -> None:
        match _said(reply, sentinels.master):
            case Promotion() as promotion:
                watcher.promoting(promotion)
            case Endpoint() as master:
                watcher.switched(master)

    while True:
        with contextlib.suppress(CacheError):
            connection = await connect(
                endpoint, sentinels.credentials, timeout=timeout, tls=address.tls
            )
            try:
                # What happened before we listen is learned by asking, after the subscription.
                connection.listen(heard, "SUBSCRIBE", _SWITCHED, _CHOSEN)
                watcher.switched(await _ask(sentinels, endpoint, address, timeout))
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


def _said(reply: Reply, master: str) -> Promotion | Endpoint | None:
    """What a message says of this master; None for others.

    +switch-master: name, old host and port, new host and port. +selected-slave: "slave", its name,
    host and port, "@", and the name, host and port of its master.
    """
    if not isinstance(reply, list) or reply[0] != b"message":
        return None
    channel, words = reply[1], reply[2].decode().split()
    if channel == _SWITCHED and len(words) == 5 and words[0] == master:
        return Endpoint(words[3], int(words[4]))
    if channel == _CHOSEN and len(words) == 8 and words[5] == master:
        return Promotion(Endpoint(words[2], int(words[3])), Endpoint(words[6], int(words[7])))
    return None
