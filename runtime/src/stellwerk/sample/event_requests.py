"""What a request asks of the event store: its parameters or body as types. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stellwerk.sample.query import LARGEST_LIMIT, QueryError, whole

PARAMETERS: Final = frozenset({"aggregate_id", "after_version", "limit"})
LARGEST_BODY: Final = 65_536
"""Bytes of a request that appends; a message has 1024 at most (specification 1.1)."""

_MOST_EVENTS: Final = 100
_LONGEST_AGGREGATE: Final = 200
_LONGEST_TYPE: Final = 100
_LARGEST_VERSION: Final = 2**63 - 1


@dataclass(frozen=True)
class EventQuery:
    """Events of one aggregate that follow a version, oldest first."""

    aggregate_id: str
    after_version: int = 0
    limit: int = 100


@dataclass(frozen=True)
class EventAppend:
    """Events, as pairs of type and payload, for an aggregate that is at `expected_version`."""

    aggregate_id: str
    expected_version: int
    events: tuple[tuple[str, Any], ...]


def parse_query(given: Mapping[str, str]) -> EventQuery:
    """Read the parameters of a query. Raises QueryError."""
    return EventQuery(
        _text(given.get("aggregate_id"), "aggregate_id", _LONGEST_AGGREGATE),
        whole("after_version", given.get("after_version", "0"), 0, _LARGEST_VERSION),
        whole("limit", given.get("limit", str(EventQuery.limit)), 1, LARGEST_LIMIT),
    )


def parse_append(body: bytes) -> EventAppend:
    """Read a body such as {"aggregate_id": "depot-7", "expected_version": 0, "events": [{"type":
    "opened", "payload": {}}]}. Raises QueryError.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise QueryError("The body must be JSON.") from None
    if not isinstance(document, dict):
        raise QueryError("The body must be a JSON object.")
    version = document.get("expected_version")
    # A retry after a lost answer appends twice unless it says which version it follows.
    if type(version) is not int or not 0 <= version <= _LARGEST_VERSION:
        raise QueryError("expected_version must be the aggregate's version, 0 for a new one.")
    events = document.get("events")
    if not isinstance(events, list) or not 1 <= len(events) <= _MOST_EVENTS:
        raise QueryError(f"events must be a list of 1 to {_MOST_EVENTS}.")
    aggregate = _text(document.get("aggregate_id"), "aggregate_id", _LONGEST_AGGREGATE)
    return EventAppend(aggregate, version, tuple(map(_event, events)))


def _event(value: object) -> tuple[str, Any]:
    if not isinstance(value, dict) or "payload" not in value:
        raise QueryError("Each of events must be an object with type and payload.")
    return _text(value.get("type"), "type", _LONGEST_TYPE), value["payload"]


def _text(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or "\x00" in value:
        raise QueryError(f"{name} must be text of 1 to {longest} characters.")
    return value
