"""Events of the ledger, each in a line or as JSON. Pure."""

from typing import Any

from stellwerk.instances.model import InstanceKey
from stellwerk.instances.store import Event
from stellwerk.terminal.paint import one_line


def event_line(event: Event) -> str:
    """When, to what, where, what."""
    where = f" on {event.host}" if event.host else ""
    about = one_line(f"{_subject(event)}{where}: {event.kind}")
    detail = one_line(event.detail)
    return f"{event.at:%Y-%m-%d %H:%M:%S}Z  {about}{f': {detail}' if detail else ''}"


def event_document(event: Event) -> dict[str, Any]:
    """For programs."""
    return {
        "at": event.at.isoformat(),
        "kind": event.kind,
        "service": event.service or None,
        "port": event.port,
        "host": event.host or None,
        "detail": event.detail,
    }


def _subject(event: Event) -> str:
    if event.port is not None:
        return str(InstanceKey(event.service, event.port))
    return event.service or "cluster"
