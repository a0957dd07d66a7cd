"""The refreshes of materialized views, as the event store keeps a record of them.

It changes every few minutes at most: it is asked for once a minute, and told as it was until then.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from stellwerk.database.quoting import quote_identifier
from stellwerk.metrics.collectors.collector import Found, Samples
from stellwerk.metrics.collectors.libpq import PostgresqlError, Row
from stellwerk.metrics.declarations import postgresql as metrics
from stellwerk.metrics.model import Sample
from stellwerk.metrics.reading import Gap, State

INTERVAL_SECONDS: Final = 60.0
"""Time between two looks at the record."""

_NOT_THERE: Final = ("42P01", "3F000")  # undefined_table, invalid_schema_name


class Connection(Protocol):
    """What is needed of a connection."""

    async def ask(self, sql: str, /) -> list[Row]: ...


class ViewRefreshes:
    """The refreshes of the views that have an interval, in seconds, in the settings."""

    def __init__(
        self,
        schema: str,
        intervals: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = f"{quote_identifier(schema)}.view_refreshes"
        # The timer runs at the shortest interval: the others wait for its next run.
        shortest = min(intervals.values(), default=1)
        self._allowed = {
            view: -(-interval // shortest) * shortest for view, interval in intervals.items()
        }
        self._samples = {view: Samples(view=view) for view in intervals}
        self._clock = clock
        self._due = float("-inf")
        self._last = Found()

    async def read(self, connection: Connection) -> Found:
        """What the record says; a gap where there is none. Raises as the connection does, but not
        PostgresqlError.
        """
        if self._allowed and self._clock() >= self._due:
            self._last = await self._ask(connection)
            self._due = self._clock() + INTERVAL_SECONDS
        return self._last

    async def _ask(self, connection: Connection) -> Found:
        try:
            rows = await connection.ask(
                "SELECT view, 1000 * seconds, failures,"  # noqa: S608 - a name that is quoted
                " extract(epoch FROM clock_timestamp() - refreshed_at)"
                f" FROM {self._table}"
            )
        except PostgresqlError as error:
            state = State.MISSING if error.sqlstate in _NOT_THERE else State.REFUSED
            return Found(gaps=(Gap(state, f"Refreshes of views are not known: {error}"),))
        return Found([sample for row in rows for sample in self._of(*row)])

    def _of(
        self, view: str | None, milliseconds: str | None, failures: str | None, age: str | None
    ) -> list[Sample]:
        allowed = self._allowed.get(view or "")
        if view is None or allowed is None:
            return []  # of a view that is not refreshed any more
        overdue = None if age is None else max(0.0, float(age) - allowed)
        return self._samples[view].of(
            (
                (metrics.VIEW_REFRESH, None if milliseconds is None else float(milliseconds)),
                (metrics.VIEW_FAILURES, float(failures or 0)),
                (metrics.VIEW_OVERDUE, overdue),
            )
        )
