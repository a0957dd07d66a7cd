"""What people are told of scaling, and the interface to whatever tells them. Pure.

Which channels a notice takes and how bad it is say the settings (`scaling.notifications`).
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from stellwerk.settings.scaling import Route, Routes

_logger: Final = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a notice is about; the values are the keys of `scaling.notifications`."""

    ACTION = "scaling_action"
    FAILURE = "scaling_failure"
    LIMIT = "resource_limit_reached"
    EMERGENCY = "emergency"


@dataclass(frozen=True)
class Notice:
    """Something to tell about a service. `escalated`: it has been told and lasts too long."""

    kind: Kind
    service: str
    at: datetime
    text: str
    escalated: bool = False


class Outputs(Protocol):
    """Tells people. It returns at once and never raises: a dead receiver holds up nothing."""

    def tell(self, notice: Notice, route: Route) -> None:
        """Have the receivers of the route told of it."""


class Journal:
    """Tells the system's journal, which people have in any case."""

    def tell(self, notice: Notice, route: Route) -> None:
        """One line, at the level that goes with the route's severity."""
        level = logging.INFO if route.severity == "info" else logging.WARNING
        again = "still: " if notice.escalated else ""
        _logger.log(level, "%s: %s%s", notice.kind, again, notice.text)


def tell_all(notices: Iterable[Notice], routes: Routes, outputs: Iterable[Outputs]) -> None:
    """Have every output told of every notice."""
    by_kind: Mapping[Kind, Route] = {kind: getattr(routes, kind) for kind in Kind}
    outputs = tuple(outputs)
    for notice in notices:
        for output in outputs:
            output.tell(notice, by_kind[notice.kind])
