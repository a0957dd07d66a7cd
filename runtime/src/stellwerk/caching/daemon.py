"""The cache daemon: invalidations by schedule, by hand and by the database, and warming."""

import asyncio
import contextlib
import logging
from contextlib import AsyncExitStack

import psycopg
from aiohttp import web

from stellwerk import notify
from stellwerk.caching.administering import Administration, Record
from stellwerk.caching.cache import Cache
from stellwerk.caching.daemon_configuration import DaemonConfiguration
from stellwerk.caching.outbox import Connection, OutboxFollower
from stellwerk.caching.rounds import Rounds
from stellwerk.caching.schedules import RedisMarks, Schedules
from stellwerk.caching.statements import Statements, reading

_logger = logging.getLogger(__name__)


async def serve(configuration: DaemonConfiguration) -> None:
    """Run until cancelled. Raises OSError where the admin API cannot listen."""
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(Cache(configuration.caching, configuration.redis))
        await _listen(configuration, cache, stack)
        notify.ready("Invalidates by schedule, by hand and by event, and warms.")
        stack.callback(notify.stopping)
        async with asyncio.TaskGroup() as group:
            warming = configuration.caching.warming
            schedules = configuration.caching.invalidation.schedules
            group.create_task(
                Schedules(schedules, RedisMarks(cache.client), cache.invalidate).run()
            )
            if configuration.database is not None:
                if configuration.caching.invalidation.outbox:
                    group.create_task(_follower(configuration.database, cache).run())
                if warming.loaders:
                    statements = Statements(reading(configuration.database))
                    stack.push_async_callback(statements.close)
                    group.create_task(Rounds(warming, cache, statements).run())
            group.create_task(_watchdog())


async def _listen(configuration: DaemonConfiguration, cache: Cache, stack: AsyncExitStack) -> None:
    """Offer the API, by which nothing is invalidated where nobody was given a token."""
    admin = configuration.caching.invalidation.admin
    if not (admin.token.given or admin.token_for_all.given):
        _logger.warning("No token is given: there is no invalidation by hand.")
    record = Record(configuration.audit)
    application = Administration(admin, cache, record.write).web_application()
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, configuration.listen, admin.port).start()


def _follower(dsn: str, cache: Cache) -> OutboxFollower:
    async def connect() -> Connection:
        return await psycopg.AsyncConnection.connect(dsn, autocommit=True)

    return OutboxFollower(connect, cache)


async def _watchdog() -> None:
    interval = notify.watchdog_seconds()
    while interval is not None:
        notify.watchdog()
        await asyncio.sleep(interval)


async def serve_until(configuration: DaemonConfiguration, end: asyncio.Event) -> None:
    """The same, until an event is set."""
    serving = asyncio.create_task(serve(configuration))
    ended = asyncio.create_task(end.wait())
    await asyncio.wait((serving, ended), return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if serving.done():
        serving.result()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
