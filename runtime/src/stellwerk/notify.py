"""Tells systemd how this process is doing: sd_notify for Type=notify units, standard library only.

What a daemon says and when is its own business; nothing here starts or stops anything.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

_logger = logging.getLogger(__name__)

_SEND_TIMEOUT_SECONDS = 1.0
_MICROSECONDS = 1_000_000


def ready(text: str | None = None) -> bool:
    """Say that the unit is started, with an optional status text. True when systemd was told."""
    return _send("READY=1", *_status(text))


def stopping(text: str | None = None) -> bool:
    """Say that the process is on its way out, with an optional status text."""
    return _send("STOPPING=1", *_status(text))


def status(text: str) -> bool:
    """Set the one line that `systemctl status` shows for the unit."""
    return _send(*_status(text))


def extend_timeout(seconds: float) -> bool:
    """Ask for at least `seconds` from now before the present start or stop counts as too late."""
    return _send(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")


def watchdog() -> bool:
    """Say that the process is alive; due at least every `watchdog_seconds()`."""
    return _send("WATCHDOG=1")


def watchdog_seconds(environment: Mapping[str, str] | None = None) -> float | None:
    """How often to call `watchdog()`, in seconds; None when the unit has no watchdog for this
    process.

    Half of WatchdogSec=, as sd_watchdog_enabled(3) advises.
    """
    variables = os.environ if environment is None else environment
    if variables.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    limit = variables.get("WATCHDOG_USEC", "")
    if not limit.isascii() or not limit.isdecimal() or int(limit) == 0:
        return None
    return int(limit) / _MICROSECONDS / 2


async def keep_watchdog() -> None:
    """Say again and again that the process is alive; return where nobody waits for that."""
    seconds = watchdog_seconds()
    while seconds is not None:
        watchdog()
        await asyncio.sleep(seconds)


def _status(text: str | None) -> tuple[str, ...]:
    return () if text is None else ("STATUS=" + " ".join(text.splitlines()),)


def _send(*assignments: str) -> bool:
    """Send one datagram to $NOTIFY_SOCKET; False without one, or when it cannot be reached.

    A lost message must not end a service that works, so a failure is only logged.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(_SEND_TIMEOUT_SECONDS)
            channel.sendto("\n".join(assignments).encode(), address)
    except OSError as error:
        _logger.warning("systemd was not told %s: %s", assignments[0], error)
        return False
    return True
