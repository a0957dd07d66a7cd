"""The monitor as a process: its settings, HTTP port, signals and watchdog."""

import asyncio
import logging
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stellwerk import notify
from stellwerk.metrics.alerting import Alerting
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.monitor import certificate, garbage, plain, sources
from stellwerk.metrics.monitor.api import Api
from stellwerk.metrics.monitor.daemon import Monitor
from stellwerk.metrics.monitor.http_server import HttpServer
from stellwerk.metrics.registry import Registry
from stellwerk.metrics.report.process import Reports

if TYPE_CHECKING:
    import ssl

    from stellwerk.settings.files import HostFile

LOOPBACK: Final = "127.0.0.1"
HISTORY: Final = "history"

_logger: Final = logging.getLogger(__name__)


def main(settings: Path, state: Path) -> None:
    """Run until SIGTERM; what prevents that is said in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        host = plain.load(settings)
        garbage.look_seldom()
        asyncio.run(serve(host, state))
    except (plain.SettingsUnreadableError, ListenError) as error:
        sys.exit(str(error))


class ListenError(Exception):
    """The port cannot be listened at; one sentence."""


async def serve(host: "HostFile", state: Path) -> None:
    """Collect and answer until SIGTERM or SIGINT. Raises ListenError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = host.settings.monitoring
    registry = Registry(host.settings)
    alerting = Alerting(host.name, host.settings, registry, state)
    monitor = Monitor(
        sources.collectors(host),
        settings.interval_seconds,
        settings.source_timeout_seconds,
        partial(
            HistoryWriter,
            state / HISTORY,
            keep_days=settings.history_days,
            most_bytes=int(settings.history_size),
        ),
        alerting,
    )
    api = Api(
        host.name,
        host.settings.services,
        monitor.latest,
        registry,
        monitor.is_late,
        alerting,
        Reports(host, state / HISTORY),
    )
    server = HttpServer(api.answer, _token(host))
    stopped = asyncio.ensure_future(stop.wait())
    working = [asyncio.ensure_future(one) for one in (monitor.run(), _deliver(alerting))]
    watched = asyncio.ensure_future(notify.keep_watchdog())
    tasks = (stopped, *working, watched)
    try:
        await _listen(server, host)
        await asyncio.wait((stopped, *working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        notify.stopping()
        await server.close()
        ended = [task for task in working if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()


async def _deliver(alerting: Alerting) -> None:
    """Deliver until cancelled: to have nobody to deliver to is no end."""
    await alerting.run()
    await asyncio.Event().wait()


async def _listen(server: HttpServer, host: "HostFile") -> None:
    """At loopback, and for others with the token at the host's own address.

    With TLS between hosts others need it as well, so there has to be a certificate.
    """
    (member,) = (one for one in host.members if one.name == host.name)
    port, tls = host.settings.monitoring.port, certificate.given()
    addresses: dict[str, ssl.SSLContext | None] = {LOOPBACK: None}
    if _token(host) is not None and host.settings.tls.enabled == (tls is not None):
        addresses.setdefault(member.address, tls)
    for address, context in addresses.items():
        try:
            await server.listen(address, port, context)
        except OSError as error:
            raise ListenError(
                f"Error: {address}:{port} cannot be listened at: {error.strerror}; another port"
                " can be set as monitoring.port"
            ) from None


def _token(host: "HostFile") -> str | None:
    token = host.settings.monitoring.token
    return token.get_secret_value() if token.given else None
