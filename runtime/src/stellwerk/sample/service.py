"""The life of one instance: listen, become ready, serve until SIGTERM, finish what runs."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterable

from aiohttp import web

from stellwerk import notify
from stellwerk.sample.addresses import own_addresses
from stellwerk.sample.answer import Cache, Store
from stellwerk.sample.application import SampleApplication
from stellwerk.sample.availability import PROBE_SECONDS, watch
from stellwerk.sample.configuration import ServiceConfiguration, Switches
from stellwerk.sample.health import Phase
from stellwerk.sample.unconfigured import NoCache, NoStore

# How long an open connection is still listened to after SIGTERM: a request that was on its way is
# answered.
_LINGER_SECONDS = 0.2
_START_MARGIN_SECONDS = 15.0
_CRASH_EXIT_CODE = 70

_logger = logging.getLogger(__name__)


class ListenError(Exception):
    """An address cannot be listened on; the message is one sentence."""


async def serve(configuration: ServiceConfiguration) -> None:
    """Run the instance until SIGTERM or SIGINT. Raises ListenError."""
    stop = _stop_event()
    if configuration.switches.exit_after is not None:
        asyncio.get_running_loop().call_later(configuration.switches.exit_after, _crash)
    store, cache = _store(configuration), _cache(configuration)
    application = SampleApplication(configuration, store, cache)
    runner = web.AppRunner(
        application.web_application(),
        access_log=None,
        shutdown_timeout=configuration.shutdown_timeout,
    )
    await runner.setup()
    try:
        await _listen(runner, configuration)
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(_start_and_watch(application, store, cache, configuration)),
                group.create_task(_feed_watchdog()),
            ]
            await stop.wait()
            await _drain(application, runner, configuration.shutdown_timeout)
            for task in background:
                task.cancel()
    finally:
        application.close()
        await store.close()
        await cache.close()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _crash() -> None:
    _logger.error("SAMPLE_EXIT_AFTER_S is over: exiting as if crashed.")
    os._exit(_CRASH_EXIT_CODE)


# psycopg and redis are loaded only by the instances that use them: each costs memory and a quarter
# of a second.
def _store(configuration: ServiceConfiguration) -> Store:
    if configuration.database is None:
        return NoStore()
    from stellwerk.sample.store import PostgresStore

    return PostgresStore(configuration.database)


def _cache(configuration: ServiceConfiguration) -> Cache:
    if configuration.cache is None:
        return NoCache()
    if configuration.cache.settings is not None:
        from stellwerk.sample.layered import LayeredCache, read_layers

        layers = read_layers(configuration.cache.settings)
        return LayeredCache(layers, configuration.cache, configuration.service)
    from stellwerk.sample.cache import RedisCache

    probe_key = f"api:{configuration.service}:probe:{configuration.port}"
    return RedisCache(configuration.cache, probe_key)


async def _listen(runner: web.AppRunner, configuration: ServiceConfiguration) -> None:
    for address in configuration.bind_addresses or own_addresses():
        try:
            await web.TCPSite(runner, address, configuration.port).start()
        except OSError as error:
            raise ListenError(
                f"{configuration.label} cannot listen on {address} port {configuration.port}: "
                f"{os.strerror(error.errno or 0)}."
            ) from None


async def _start_and_watch(
    application: SampleApplication, store: Store, cache: Cache, configuration: ServiceConfiguration
) -> None:
    await _delay_start(configuration.switches)
    await asyncio.gather(store.probe(), cache.probe())
    if application.phase is not Phase.STARTING:  # told to stop meanwhile
        return
    application.phase = Phase.SERVING
    notify.ready(application.health.sentence())
    _logger.info("%s is ready: %s.", configuration.label, application.health.sentence())
    async with asyncio.TaskGroup() as group:
        group.create_task(watch(store))
        group.create_task(watch(cache))
        group.create_task(_report(application))


async def _delay_start(switches: Switches) -> None:
    if switches.start_delay > 0:
        notify.extend_timeout(switches.start_delay + _START_MARGIN_SECONDS)
        await asyncio.sleep(switches.start_delay)
    if switches.never_ready:
        _logger.warning("SAMPLE_NEVER_READY is set: this instance stays in its start.")
        await asyncio.Event().wait()


async def _report(application: SampleApplication) -> None:
    """Keep the line of `systemctl status` true."""
    shown = application.health.sentence()
    while True:
        await asyncio.sleep(PROBE_SECONDS)
        sentence = application.health.sentence()
        if sentence != shown and application.phase is Phase.SERVING:
            notify.status(sentence)
            shown = sentence


async def _feed_watchdog() -> None:
    period = notify.watchdog_seconds()
    while period is not None:
        notify.watchdog()
        await asyncio.sleep(period)


async def _drain(application: SampleApplication, runner: web.AppRunner, timeout: float) -> None:
    """Take no new requests, and let those in flight end within `timeout` seconds."""
    application.phase = Phase.DRAINING
    notify.stopping(f"draining; requests in flight: {application.in_flight}")
    _logger.info("Stopping; requests in flight: %d.", application.in_flight)
    try:
        async with asyncio.timeout(timeout):
            await _stop_listening(runner.sites)
            if runner.server is not None and runner.server.connections:
                await asyncio.sleep(_LINGER_SECONDS)
            await runner.cleanup()
    except TimeoutError:
        for connection in runner.server.connections if runner.server is not None else ():
            connection.force_close()
        _logger.warning("Requests cut off after %g s: %d.", timeout, application.in_flight)
    else:
        _logger.info("Stopped; every request was answered.")


async def _stop_listening(sites: Iterable[web.BaseSite]) -> None:
    for site in sites:
        await site.stop()
