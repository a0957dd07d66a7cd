"""PostgreSQL by its statistics: connections, a probe query, slow statements, hit ratios, sizes;
with the record of view refreshes, which `postgresql_views` reads.

Its sizes are a source of their own: they are costly, and slow ones must not make the server look
frozen.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from stellwerk.metrics.collectors import libpq
from stellwerk.metrics.collectors.collector import (
    Found,
    Samples,
    SubjectCollector,
    Trouble,
    percent,
)
from stellwerk.metrics.collectors.libpq import ConnectionLostError, PostgresqlError, Row
from stellwerk.metrics.collectors.postgresql_views import ViewRefreshes
from stellwerk.metrics.declarations import postgresql as metrics
from stellwerk.metrics.model import Metric, Sample, Source
from stellwerk.metrics.rates import Share
from stellwerk.metrics.reading import Gap, State

OLDEST_VERSION: Final = 100000
"""Before PostgreSQL 10 there was no pg_monitor, and statistics had other columns."""

LARGEST_TABLES: Final = 20
"""How many tables have a size of their own: each is a series."""

_MEGABYTE: Final = 1024 * 1024
_CANCELED: Final = "57014"
_LOCKED: Final = "55P03"
_NOT_LOADED: Final = "55000"
_STARTING: Final = ("starting up", "shutting down", "in recovery mode", "not yet accepting")


class Connection(Protocol):
    """What is needed of a connection."""

    @property
    def version(self) -> int: ...

    async def ask(self, sql: str) -> list[Row]: ...

    def close(self) -> None: ...


Connect = Callable[[Mapping[str, str]], Awaitable[Connection]]


@dataclass(frozen=True)
class Access:
    """How to reach a server: `host` is the folder of its socket, or an address."""

    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)

    def parameters(self, timeout: float) -> dict[str, str]:
        """For libpq; the server ends a statement after so many seconds."""
        given = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
            "sslmode": "disable",  # it is on this host
            "application_name": "stellwerk-monitor",
            "options": f"-c statement_timeout={round(1000 * timeout)}",
        }
        return given if self.password is None else {**given, "password": self.password}


@dataclass(frozen=True)
class Slow:
    """Which statements count as slow: `counted` over this mean, and the average of so many of the
    slowest over another; times in milliseconds.
    """

    counted_over: float = 1000.0
    average_of: int = 5
    average_over: float = 100.0


class _PostgresqlCollector(SubjectCollector):
    """A connection that is kept from look to look, and what can be wrong with it."""

    def __init__(
        self, subject: str, access: Access, timeout: float, connect: Connect, metric: Metric | None
    ) -> None:
        series = metric.series() if metric is not None else None
        super().__init__(Source.POSTGRESQL, subject, series)
        self._access = access
        self._timeout = timeout
        self._connect = connect
        self._connection: Connection | None = None

    async def collect(self) -> Found:
        try:
            if self._connection is None:
                self._connection = await self._connect(self._access.parameters(self._timeout))
            if self._connection.version < OLDEST_VERSION:
                raise Trouble(
                    State.UNSUPPORTED,
                    f"PostgreSQL {self._connection.version // 10000} cannot be read; the oldest"
                    f" that can is {OLDEST_VERSION // 10000}",
                )
            return await self.measure(self._connection)
        except ConnectionLostError as error:
            raise Trouble(_state_of(str(error)), f"PostgreSQL cannot be asked: {error}") from None
        except PostgresqlError as error:
            state = State.FROZEN if error.sqlstate in (_CANCELED, _LOCKED) else State.REFUSED
            raise Trouble(state, f"PostgreSQL refuses: {error}") from None

    async def measure(self, connection: Connection) -> Found:
        """Ask the server. Raises Trouble, ConnectionLostError, PostgresqlError."""
        raise NotImplementedError

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class PostgresqlCollector(_PostgresqlCollector):
    """The server of this host, but for sizes."""

    def __init__(
        self,
        access: Access,
        seconds: float,
        slow: Slow,
        views: ViewRefreshes,
        connect: Connect = libpq.connect,
    ) -> None:
        # Half of the time is for pg_stat_statements alone: where that is slow, only that is left
        # out.
        super().__init__("PostgreSQL", access, seconds / 2, connect, metrics.AVAILABILITY)
        self._slow = slow
        self._views = views
        self._samples = Samples()
        self._hits = Share()

    async def measure(self, connection: Connection) -> Found:
        begun = time.perf_counter()
        await connection.ask("SELECT 1")
        probe = time.perf_counter() - begun
        (row,) = await connection.ask(_ACTIVITY)
        may_see, active, idle, in_transaction, all_of_them, most, *rest = row
        if may_see != "t":
            raise Trouble(
                State.REFUSED,
                f"the role {self._access.user} may not read PostgreSQL's statistics: grant it"
                " pg_monitor, as a deploy does",
            )
        commits, rollbacks, hits, reads, deadlocks = map(_number, rest[:5])
        values: list[tuple[Metric, float | None]] = [
            (metrics.PROBE_QUERY, 1000 * probe),
            (metrics.ACTIVE_CONNECTIONS, _number(active)),
            (metrics.IDLE_CONNECTIONS, _number(idle)),
            (metrics.IDLE_IN_TRANSACTION, _number(in_transaction)),
            (metrics.CONNECTIONS, percent(_number(all_of_them), _number(most))),
            (metrics.TRANSACTIONS, commits + rollbacks),
            (metrics.ROLLBACKS, rollbacks),
            (metrics.DEADLOCKS, deadlocks),
            (metrics.CACHE_HIT, self._hits.percent(hits, reads)),
        ]
        gaps: list[Gap] = []
        version, schema = rest[5:]
        if version is None or schema is None:
            gaps.append(
                Gap(
                    State.MISSING,
                    "The extension pg_stat_statements is not in the database"
                    f" {self._access.database}: slow statements are not known",
                )
            )
        else:
            values += await self._statements(connection, version, schema, gaps)
        views = await self._views.read(connection)
        return Found((*self._samples.of(values), *views.samples), gaps=(*gaps, *views.gaps))

    async def _statements(
        self, connection: Connection, version: str, schema: str, gaps: list[Gap]
    ) -> list[tuple[Metric, float | None]]:
        try:
            ((count, average),) = await connection.ask(statements_sql(version, schema, self._slow))
        except PostgresqlError as error:
            if error.sqlstate == _CANCELED:
                reason = f"pg_stat_statements was not read within {self._timeout:g} s"
                gaps.append(Gap(State.FROZEN, reason))
            else:
                state = State.MISSING if error.sqlstate == _NOT_LOADED else State.REFUSED
                gaps.append(Gap(state, f"Slow statements are not known: {error}"))
            return []
        return [
            (metrics.SLOW_QUERIES, _number(count)),
            (metrics.SLOW_QUERY_AVERAGE, None if average is None else _number(average)),
        ]


class PostgresqlSizesCollector(_PostgresqlCollector):
    """Sizes of databases and of the largest tables, and the hit ratio of indexes: looked at every
    `interval` seconds, and told as they were until then.
    """

    def __init__(
        self,
        access: Access,
        seconds: float,
        interval: float,
        connect: Connect = libpq.connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("PostgreSQL's sizes", access, seconds, connect, None)
        self._interval = interval
        self._clock = clock
        self._due = float("-inf")
        self._last = Found()
        self._samples = Samples()
        self._hits = Share()

    async def collect(self) -> Found:
        if self._clock() >= self._due:
            self._last = await super().collect()
            self._due = self._clock() + self._interval
            super().close()  # it would idle for minutes
        return self._last

    async def measure(self, connection: Connection) -> Found:
        samples: list[Sample] = []
        for name, size in await connection.ask(_DATABASES):
            labels = Samples(database=name or "")
            samples += labels.of(((metrics.DATABASE_SIZE, _number(size) / _MEGABYTE),))
        for name, size in await connection.ask(_TABLES):
            if size is not None:  # else it was dropped meanwhile
                labels = Samples(database=self._access.database, table=name or "")
                samples += labels.of(((metrics.TABLE_SIZE, _number(size) / _MEGABYTE),))
        ((hits, reads),) = await connection.ask(_INDEXES)
        ratio = self._hits.percent(_number(hits), _number(reads))
        samples += self._samples.of(((metrics.INDEX_HIT, ratio),))
        return Found(samples)

    def close(self) -> None:
        super().close()
        self._last, self._due = Found(), float("-inf")


def statements_sql(version: str, schema: str, slow: Slow) -> str:
    """The question for slow statements, for a version of the extension, such as "1.10"."""
    parts = [int(part) for part in version.split(".")]
    mean = "mean_exec_time" if parts >= [1, 8] else "mean_time"
    quoted = '"' + schema.replace('"', '""') + '"'
    return f"""
        WITH means AS (
            SELECT {mean} AS mean FROM {quoted}.pg_stat_statements(false)
             WHERE {mean} > {min(slow.counted_over, slow.average_over):f})
        SELECT (SELECT count(*) FROM means WHERE mean > {slow.counted_over:f}),
               (SELECT avg(mean) FROM (
                   SELECT mean FROM means WHERE mean > {slow.average_over:f}
                    ORDER BY mean DESC LIMIT {slow.average_of:d}) AS slowest)
    """  # noqa: S608 - figures, and a name that is quoted


def _state_of(words: str) -> State:
    """What libpq's words about a failed connection stand for."""
    refused = "FATAL" in words and not any(word in words for word in _STARTING)
    return State.REFUSED if refused else State.DOWN


def _number(text: str | None) -> float:
    return float(text or 0)


# All databases count together, as the connections do. pg_stat_activity has the states of others
# only for those who may see them: else they would be counted as none.
_ACTIVITY: Final = """
    SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), activity.*, totals.*,
           (SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'),
           (SELECT nspname FROM pg_extension AS one
              JOIN pg_namespace AS schema ON schema.oid = one.extnamespace
             WHERE extname = 'pg_stat_statements')
      FROM (SELECT count(*) FILTER (WHERE state = 'active' AND pid <> pg_backend_pid()),
                   count(*) FILTER (WHERE state = 'idle'),
                   count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
                   count(*),
                   current_setting('max_connections')
              FROM pg_stat_activity WHERE backend_type = 'client backend') AS activity,
           (SELECT sum(xact_commit), sum(xact_rollback), sum(blks_hit), sum(blks_read),
                   sum(deadlocks)
              FROM pg_stat_database) AS totals
"""
_DATABASES: Final = """
    SELECT datname, pg_database_size(oid) FROM pg_database
     WHERE datallowconn AND NOT datistemplate
"""
# The largest are found by what VACUUM last counted: their sizes alone are asked of the disk.
_TABLES: Final = f"""
    SELECT CASE WHEN nspname = 'public' THEN relname ELSE nspname || '.' || relname END,
           pg_total_relation_size(largest.oid)
      FROM (SELECT oid, relname, relnamespace FROM pg_class
             WHERE relnamespace <> ALL ('{{pg_catalog,information_schema}}'::regnamespace[])
               AND relkind IN ('r', 'm') AND relpersistence <> 't'
             ORDER BY relpages DESC, relname LIMIT {LARGEST_TABLES}) AS largest
      JOIN pg_namespace AS schema ON schema.oid = relnamespace
"""  # noqa: S608 - a constant
_INDEXES: Final = """
    SELECT coalesce(sum(idx_blks_hit), 0), coalesce(sum(idx_blks_read), 0)
      FROM pg_statio_user_indexes
"""
