"""Metrics of PostgreSQL."""

from typing import Final

from stellwerk.metrics.model import BaselineOf, Kind, Metric, Source
from stellwerk.metrics.units import Unit

AVAILABILITY: Final = Metric(
    Source.POSTGRESQL, "availability", Unit.FLAG, "1 while PostgreSQL answers, otherwise 0."
)
ACTIVE_CONNECTIONS: Final = Metric(
    Source.POSTGRESQL,
    "active_connections",
    Unit.NUMBER,
    "Connections at work.",
    baseline=BaselineOf("database", "connections", ("average",)),
)
IDLE_CONNECTIONS: Final = Metric(
    Source.POSTGRESQL, "idle_connections", Unit.NUMBER, "Connections that wait for a statement."
)
IDLE_IN_TRANSACTION: Final = Metric(
    Source.POSTGRESQL,
    "idle_in_transaction_connections",
    Unit.NUMBER,
    "Connections that wait inside a transaction, and hold its locks.",
)
CONNECTIONS: Final = Metric(
    Source.POSTGRESQL,
    "connections_percent",
    Unit.PERCENT,
    "Connections in use, of max_connections.",
)
PROBE_QUERY: Final = Metric(
    Source.POSTGRESQL, "probe_query_ms", Unit.MILLISECONDS, "Time of the probe query."
)
SLOW_QUERIES: Final = Metric(
    Source.POSTGRESQL,
    "slow_queries",
    Unit.NUMBER,
    "Statements of pg_stat_statements whose mean time counts as slow.",
)
SLOW_QUERY_AVERAGE: Final = Metric(
    Source.POSTGRESQL,
    "slow_query_average_ms",
    Unit.MILLISECONDS,
    "Mean time of the slowest statements of pg_stat_statements.",
)
CACHE_HIT: Final = Metric(
    Source.POSTGRESQL,
    "cache_hit_percent",
    Unit.PERCENT,
    "Blocks found in shared buffers since the last collection, of those asked for.",
)
INDEX_HIT: Final = Metric(
    Source.POSTGRESQL,
    "index_hit_percent",
    Unit.PERCENT,
    "Blocks of indexes found in shared buffers since the last collection, of those asked for.",
    baseline=BaselineOf("database", "index_hit_ratio", ("value",)),
)
DATABASE_SIZE: Final = Metric(
    Source.POSTGRESQL,
    "database_size_mb",
    Unit.MEGABYTES,
    "Size of a database.",
    labels=("database",),
)
TABLE_SIZE: Final = Metric(
    Source.POSTGRESQL,
    "table_size_mb",
    Unit.MEGABYTES,
    "Size of one of the largest tables, with its indexes.",
    labels=("database", "table"),
)
TRANSACTIONS: Final = Metric(
    Source.POSTGRESQL,
    "transactions_per_second",
    Unit.PER_SECOND,
    "Transactions, committed or rolled back.",
    Kind.COUNTER,
)
ROLLBACKS: Final = Metric(
    Source.POSTGRESQL,
    "rollbacks_per_second",
    Unit.PER_SECOND,
    "Transactions rolled back.",
    Kind.COUNTER,
)
DEADLOCKS: Final = Metric(
    Source.POSTGRESQL,
    "deadlocks_per_hour",
    Unit.PER_HOUR,
    "Deadlocks that PostgreSQL ended.",
    Kind.COUNTER,
)
VIEW_REFRESH: Final = Metric(
    Source.POSTGRESQL,
    "view_refresh_ms",
    Unit.MILLISECONDS,
    "Time the last completed refresh of a materialized view took.",
    labels=("view",),
    baseline=BaselineOf("database", "materialized_view_refresh", ("value",)),
)
VIEW_FAILURES: Final = Metric(
    Source.POSTGRESQL,
    "view_refresh_failures",
    Unit.NUMBER,
    "Refreshes of a materialized view that failed since one was completed.",
    labels=("view",),
)
VIEW_OVERDUE: Final = Metric(
    Source.POSTGRESQL,
    "view_overdue_seconds",
    Unit.SECONDS,
    "Time by which the rows of a materialized view are older than its interval allows.",
    labels=("view",),
)

METRICS: Final = (
    AVAILABILITY,
    ACTIVE_CONNECTIONS,
    IDLE_CONNECTIONS,
    IDLE_IN_TRANSACTION,
    CONNECTIONS,
    PROBE_QUERY,
    SLOW_QUERIES,
    SLOW_QUERY_AVERAGE,
    CACHE_HIT,
    INDEX_HIT,
    DATABASE_SIZE,
    TABLE_SIZE,
    TRANSACTIONS,
    ROLLBACKS,
    DEADLOCKS,
    VIEW_REFRESH,
    VIEW_FAILURES,
    VIEW_OVERDUE,
)
