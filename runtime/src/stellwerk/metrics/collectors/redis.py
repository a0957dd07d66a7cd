"""Redis servers and the Sentinel of this host, by INFO."""

import itertools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

from stellwerk.metrics.collectors.collector import (
    Found,
    Samples,
    SubjectCollector,
    Trouble,
    percent,
)
from stellwerk.metrics.collectors.redis_connection import (
    RedisAccess,
    RedisConnection,
    RedisError,
    RedisLostError,
    connect,
    fields,
)
from stellwerk.metrics.declarations import redis as metrics
from stellwerk.metrics.declarations import sentinel as sentinel_metrics
from stellwerk.metrics.model import Metric, Series, Source
from stellwerk.metrics.rates import Share
from stellwerk.metrics.reading import State

OLDEST_VERSION: Final = 6
"""Before Redis 6 there were no users, as which the monitor logs in."""

READS_MIN: Final = 100
"""Between two looks. Without load there are only those of the caches' daemons, who look for what is
mostly not there; as a hit rate these would be an alert on every cluster that has nothing to do.
"""
_MEGABYTE: Final = 1024 * 1024
_NO_USERS: Final = "wrong number of arguments for 'auth'"  # before Redis 6


class _InfoCollector(SubjectCollector):
    """A server that is asked over a connection that is kept."""

    def __init__(
        self, source: Source, subject: str, availability: Series, access: RedisAccess
    ) -> None:
        super().__init__(source, subject, availability)
        self._access = access
        self._connection: RedisConnection | None = None

    async def collect(self) -> Found:
        try:
            if self._connection is None:
                self._connection = await connect(self._access)
            return await self.measure(self._connection)
        except RedisLostError as error:
            raise Trouble(State.DOWN, f"{self.name} cannot be asked: {error}") from None
        except RedisError as error:
            state = State.UNSUPPORTED if _NO_USERS in str(error) else State.REFUSED
            raise Trouble(state, f"{self.name} refuses: {error}") from None

    @abstractmethod
    async def measure(self, connection: RedisConnection) -> Found:
        """Ask the server. Raises Trouble, RedisError, RedisLostError."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class RedisCollector(_InfoCollector):
    """One Redis server."""

    def __init__(self, access: RedisAccess) -> None:
        self._samples = Samples(port=str(access.port))
        availability = self._samples.series(metrics.AVAILABILITY)
        super().__init__(Source.REDIS, f"Redis on port {access.port}", availability, access)
        self._hits = Share(READS_MIN)
        self._run = ""

    async def measure(self, connection: RedisConnection) -> Found:
        info = fields(await connection.call("INFO"))
        version = info.get("redis_version", "")
        if not version[:1].isdigit() or int(version.partition(".")[0]) < OLDEST_VERSION:
            raise Trouble(
                State.UNSUPPORTED,
                f"{self.name}: version {version or 'unknown'} cannot be read; the oldest that can"
                f" is {OLDEST_VERSION}",
            )
        return Found(self._samples.of(self._values(info)))

    def _values(self, info: Mapping[str, str]) -> list[tuple[Metric, float | None]]:
        if info.get("run_id", "") != self._run:
            self._run = info.get("run_id", "")
            self._hits = Share(READS_MIN)
        used, most = _number(info, "used_memory"), _number(info, "maxmemory")
        hits, misses = _number(info, "keyspace_hits"), _number(info, "keyspace_misses")
        rate = None
        if hits is not None and misses is not None:
            rate = self._hits.percent(hits, misses)
        is_master = info.get("role") == "master"
        link = info.get("master_link_status")
        return [
            (metrics.MEMORY, None if used is None else used / _MEGABYTE),
            (metrics.MEMORY_USE, percent(used, most)),
            (metrics.CLIENTS, _number(info, "connected_clients")),
            (metrics.HITS, hits),
            (metrics.MISSES, misses),
            (metrics.HIT_RATE, rate),
            (metrics.OPERATIONS, _number(info, "total_commands_processed")),
            (metrics.EVICTIONS, _number(info, "evicted_keys")),
            (metrics.IS_MASTER, float(is_master) if "role" in info else None),
            (metrics.REPLICAS, _number(info, "connected_slaves") if is_master else None),
            (metrics.REPLICATION_LINK, None if link is None else float(link == "up")),
            (metrics.REPLICATION_LAG, replication_lag(info) if is_master else None),
        ]


class SentinelCollector(_InfoCollector):
    """The Sentinel of this host, by what it says of the master `name`."""

    def __init__(self, access: RedisAccess, name: str) -> None:
        availability = sentinel_metrics.AVAILABILITY.series()
        super().__init__(Source.SENTINEL, "Sentinel", availability, access)
        self._master = name
        self._samples = Samples()

    async def measure(self, connection: RedisConnection) -> Found:
        info = fields(await connection.call("INFO", "sentinel"))
        masters = (parts(value) for name, value in info.items() if name.startswith("master"))
        master = next((one for one in masters if one.get("name") == self._master), None)
        if master is None:
            raise Trouble(State.MISSING, f"Sentinel does not watch a master named {self._master}")
        return Found(
            self._samples.of(
                (
                    (sentinel_metrics.MASTER_UP, float(master.get("status") == "ok")),
                    (sentinel_metrics.QUORUM, await self._quorum(connection)),
                    (sentinel_metrics.SENTINELS, _number(master, "sentinels")),
                    (sentinel_metrics.REPLICAS, _number(master, "slaves")),
                )
            )
        )

    async def _quorum(self, connection: RedisConnection) -> float:
        try:
            await connection.call("SENTINEL", "CKQUORUM", self._master)
        except RedisError as error:
            if not str(error).startswith("NOQUORUM"):
                raise
            return 0.0
        return 1.0


def replication_lag(info: Mapping[str, str]) -> float | None:
    """How many bytes the replica furthest behind has not confirmed; None without replicas."""
    written = _number(info, "master_repl_offset")
    names = itertools.takewhile(info.__contains__, (f"slave{n}" for n in itertools.count()))
    replicas = (parts(info[name]) for name in names)
    confirmed = [offset for one in replicas if (offset := _number(one, "offset")) is not None]
    if written is None or not confirmed:
        return None
    return max(0.0, written - min(confirmed))


def parts(text: str) -> dict[str, str]:
    """The `name=value` pairs of a field of INFO."""
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _number(info: Mapping[str, str], name: str) -> float | None:
    try:
        return float(info[name])
    except (KeyError, ValueError):
        return None
