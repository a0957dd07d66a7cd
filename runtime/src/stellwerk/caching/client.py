"""The client: a connection to the present master, and the breaker while there is none.

A caller never waits for a server that is known to be away: the first command that is not answered
in time breaks the connection, and from then on calls fail at once until a task in the background
has connected again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.connection import Connection, Reply, Word, connect
from stellwerk.caching.discovery import Promotion, candidates, follow
from stellwerk.caching.errors import CacheError, RedisAwayError, RedisRefusedError
from stellwerk.caching.scripts import SCRIPTS, Script
from stellwerk.endpoint import Endpoint
from stellwerk.settings.redis import KeepAlive

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
_PING_SECONDS: Final = 15.0
"""A server closes connections that are idle for its `timeout`; ours are not."""

_PROMOTION_PAUSE_SECONDS: Final = 0.02
_PROMOTION_SECONDS: Final = 3.0
"""Time in which a replica that a Sentinel has chosen becomes master; usually 0.1 s suffice."""

_logger = logging.getLogger(__name__)


class Session:
    """One connection with the scripts loaded into its server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def send(self, *words: Word) -> asyncio.Future[Reply]:
        """The answer to come; RedisAwayError or RedisRefusedError where it is none."""
        return self.connection.send(*words)

    async def run(self, script: Script, keys: Sequence[Word], arguments: Sequence[Word]) -> Reply:
        """The answer of a script. Raises RedisAwayError and RedisRefusedError."""
        try:
            return await self.send("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except RedisRefusedError as error:
            if "NOSCRIPT" not in str(error):
                raise
            return await self.send("EVAL", script.source, len(keys), *keys, *arguments)


Hook = Callable[[Session], Awaitable[None]]


class RedisClient:
    """Sends commands to the master. `timeout` in seconds bounds each."""

    def __init__(self, address: RedisAddress, timeout: float, keepalive: KeepAlive) -> None:
        self._address = address
        self.timeout = timeout
        self._keepalive = keepalive
        self._session: Session | None = None
        self._master: Endpoint | None = None
        self._promotion: Promotion | None = None
        self._promotion_ends = 0.0
        self._named: Endpoint | None = None
        self._clock_offset = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._tried = asyncio.Event()
        self.before_use: list[Hook] = []
        """Run on each new connection before callers get it; one that fails gives it up."""
        self.on_loss: list[Callable[[], None]] = []
        """Called when the connection is lost."""

    async def open(self) -> None:
        """Connect; where Redis is away, go on trying in the background."""
        self._tasks = [
            asyncio.create_task(self._stay_connected()),
            asyncio.create_task(follow(self._address, self.timeout, self)),
        ]
        await self._tried.wait()

    async def close(self) -> None:
        """Give up the connection and everything in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    @property
    def connected(self) -> bool:
        """Whether commands are sent now; False: they fail at once."""
        return self._session is not None

    def leave(self, reason: str) -> None:
        """Give the present connection up, so that what is owed is done before the next is used."""
        if self._session is not None:
            self._session.connection.close(reason)

    @property
    def address(self) -> RedisAddress:
        """Where it connects to."""
        return self._address

    def now(self) -> int:
        """The server's clock in milliseconds, as far as it is known."""
        return int((monotonic() + self._clock_offset) * 1000)

    @property
    def session(self) -> Session:
        """The present connection. Raises RedisAwayError at once where there is none."""
        if self._session is None:
            raise RedisAwayError(f"{self._address} is away.")
        return self._session

    async def another(self) -> Connection:
        """A further connection to the same server, which the caller closes. RedisAwayError."""
        if self._master is None or self._session is None:
            raise RedisAwayError(f"{self._address} is away.")
        return await self._connect(self._master)

    def promoting(self, promotion: Promotion) -> None:
        """Leave a master that is about to be replaced: what it takes from now on would be lost."""
        if promotion.instead_of == self._master:
            self._promotion = promotion
            self._promotion_ends = asyncio.get_running_loop().time() + _PROMOTION_SECONDS
            self._named = promotion.of
            self.leave(f"{promotion.of} becomes the master")

    def switched(self, master: Endpoint) -> None:
        """Leave a server that the Sentinels no longer name."""
        self._end_promotion_in_time()
        if self._promotion is not None and master == self._promotion.instead_of:
            return  # said by one that does not know yet
        self._promotion = None
        self._named = master
        if master != self._master:
            self.leave(f"the master is now {master}")

    async def _stay_connected(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                session = await self._first_usable()
            except Exception as error:  # whatever it is, it is tried again
                if not self._tried.is_set():
                    _logger.warning("%s", error)
            else:
                pause = _FIRST_PAUSE_SECONDS
                self._tried.set()
                await self._until_lost(session)
            self._tried.set()
            if self._is_promoting():
                await asyncio.sleep(_PROMOTION_PAUSE_SECONDS)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _first_usable(self) -> Session:
        failure: Exception = RedisAwayError(f"{self._address} is away.")
        for endpoint in await self._candidates():
            try:
                return await self._prepared(endpoint)
            except (CacheError, OSError) as error:
                failure = error
        raise failure

    async def _candidates(self) -> list[Endpoint]:
        """Where the master may be; while a replica is promoted, nowhere else."""
        if self._is_promoting() and self._promotion is not None:
            return [self._promotion.of]
        return await candidates(self._address, self.timeout)

    def _is_promoting(self) -> bool:
        """Whether a replica was chosen, and is not known to have failed to become master."""
        self._end_promotion_in_time()
        return self._promotion is not None and self._promotion.of != self._master

    def _end_promotion_in_time(self) -> None:
        if asyncio.get_running_loop().time() > self._promotion_ends:
            self._promotion = None

    async def _prepared(self, endpoint: Endpoint) -> Session:
        named = self._named
        connection = await self._connect(endpoint)
        try:
            seconds, microseconds = await connection.send("TIME")
            server = int(seconds) + int(microseconds) / 1e6
            role = await connection.send("INFO", "replication")
            if b"role:master" not in role:
                raise RedisAwayError(f"Redis at {endpoint} is no master.")
            for script in SCRIPTS:
                await connection.send("SCRIPT", "LOAD", script.source)
            self._clock_offset = server - monotonic()
            session = Session(connection)
            for hook in self.before_use:
                await hook(session)
            if self._named not in (named, endpoint):
                raise RedisAwayError(f"Redis at {endpoint} was replaced.")
        except BaseException:
            connection.close()
            raise
        self._session, self._master = session, endpoint
        return session

    async def _connect(self, endpoint: Endpoint) -> Connection:
        return await connect(
            endpoint,
            self._address.credentials,
            timeout=self.timeout,
            tls=self._address.tls,
            keepalive=self._keepalive,
        )

    async def _until_lost(self, session: Session) -> None:
        _logger.info("%s is reachable at %s.", self._address, self._master)
        lost = session.connection.lost
        while not (await asyncio.wait((lost,), timeout=_PING_SECONDS))[0]:
            with contextlib.suppress(RedisAwayError):
                await session.send("PING")
        reason = lost.result()
        self._session = None
        _logger.warning("%s is away: %s.", self._address, reason)
        for called in self.on_loss:
            called()
