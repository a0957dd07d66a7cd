"""The monitor tells how refreshes of views went, as the event store's record says."""

import pytest

from stellwerk.eventstore.session import Session
from stellwerk.metrics.collectors import libpq
from stellwerk.metrics.collectors.collector import Found
from stellwerk.metrics.collectors.postgresql_views import INTERVAL_SECONDS, ViewRefreshes
from stellwerk.metrics.declarations import postgresql as metrics
from stellwerk.metrics.model import Metric
from stellwerk.metrics.reading import State
from tests.unit.instances.programs import in_a_loop

from .store_server import Site


def value(found: Found, metric: Metric, view: str) -> float | None:
    series = metric.series(view=view)
    return next((sample.value for sample in found.samples if sample.series == series), None)


async def read(site: Site, refreshes: ViewRefreshes) -> Found:
    connection = await libpq.connect(
        {"host": site.socket, "dbname": site.database, "user": "monitor"}
    )
    try:
        return await refreshes.read(connection)
    finally:
        connection.close()


@pytest.mark.programs
@in_a_loop
async def test_each_view_has_its_duration_failures_and_how_long_it_is_overdue(
    site: Site, session: Session
) -> None:
    session.run(
        "INSERT INTO view_refreshes (view, started_at, refreshed_at, seconds, failures) VALUES"
        " ('fresh', now(), now(), 1.5, 0), ('failed', now(), NULL, NULL, 2),"
        " ('stopped', now(), now() - interval '1 hour', 2, 0), ('gone', now(), now(), 1, 9)"
    )
    found = await read(site, ViewRefreshes("public", {"fresh": 300, "failed": 300, "stopped": 500}))
    assert value(found, metrics.VIEW_REFRESH, "fresh") == 1500
    assert value(found, metrics.VIEW_FAILURES, "fresh") == 0
    assert value(found, metrics.VIEW_OVERDUE, "fresh") == 0
    assert value(found, metrics.VIEW_REFRESH, "failed") is None
    assert value(found, metrics.VIEW_FAILURES, "failed") == 2
    assert value(found, metrics.VIEW_OVERDUE, "failed") is None
    overdue = value(found, metrics.VIEW_OVERDUE, "stopped")
    assert overdue is not None
    assert overdue >= 3600 - 600  # the timer of the shortest interval passes by every 300 s
    assert value(found, metrics.VIEW_FAILURES, "gone") is None


@pytest.mark.programs
@in_a_loop
async def test_where_there_is_no_record_that_alone_is_missing(bare: Site) -> None:
    found = await read(bare, ViewRefreshes("elsewhere", {"any": 300}))
    (gap,) = found.gaps
    assert gap.state is State.MISSING
    assert '"elsewhere.view_refreshes" does not exist' in gap.reason


class Asked:
    """A connection that counts what it is asked."""

    def __init__(self) -> None:
        self.count = 0

    async def ask(self, _: str) -> list[libpq.Row]:
        self.count += 1
        return [("any", "5", str(self.count), "1")]


@in_a_loop
async def test_the_record_is_read_once_a_minute_and_told_as_it_was_meanwhile() -> None:
    asked, times = Asked(), [0.0]
    refreshes = ViewRefreshes("public", {"any": 300}, clock=lambda: times[-1])
    for at, failures in ((0.0, 1), (INTERVAL_SECONDS - 1, 1), (INTERVAL_SECONDS, 2)):
        times.append(at)
        assert value(await refreshes.read(asked), metrics.VIEW_FAILURES, "any") == failures
    assert not (await ViewRefreshes("public", {}).read(asked)).samples
    assert asked.count == 2
