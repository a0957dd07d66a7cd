"""When a series is in alert: a pure function of its values, of what was known before, and the time.

A value that is missing is no value: it neither raises an alert nor clears one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from stellwerk.metrics.alerts.rules import Rule, Rules
from stellwerk.metrics.declarations import monitor, service
from stellwerk.metrics.model import Series, Status

Values = Iterable[tuple[Series, float]]
"""Values in their metric's unit: of a counter its rate."""


@dataclass(frozen=True, slots=True)
class Level:
    """Whether a threshold is exceeded: as the latest value says, since when, and as is believed."""

    exceeded: bool
    since: float
    believed: bool = False

    def with_value(self, exceeded: bool, at: float, rule: Rule) -> "Level":
        """What a new value makes of it."""
        # Where the clock was set back, the wait begins anew rather than lasting for hours.
        since = self.since if exceeded == self.exceeded and self.since <= at else at
        needed = rule.lasts if exceeded else rule.recovery
        believed = exceeded if at - since >= needed else self.believed
        return Level(exceeded, since, believed)


@dataclass(frozen=True, slots=True)
class Watch:
    """A series that is not simply in order. Times are in seconds since the epoch."""

    series: Series
    value: float
    """The latest value, of"""
    seen_at: float
    warning: Level
    critical: Level
    raised_at: float | None = None
    """When its alert was raised; None without one."""

    @property
    def severity(self) -> Status:
        """OK without an alert: its values have not lasted yet."""
        if self.critical.believed:
            return Status.CRITICAL
        return Status.WARNING if self.warning.believed else Status.OK


class Change(StrEnum):
    """What happened to an alert."""

    RAISED = "raised"
    WORSE = "worse"
    EASED = "eased"
    CLEARED = "cleared"
    LOST = "lost"
    """Its series is not measured any more, so that nothing is known of it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of an alert, and the watch as it was after it; for an end, as it was at the end."""

    change: Change
    watch: Watch
    at: float


Watches = Mapping[str, Watch]
"""Watches by the keys of their series."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The watches there are now, and what changed."""

    watches: Watches
    changes: tuple[Changed, ...]


def evaluate(
    rules: Rules, before: Watches, values: Values, at: float, missing_seconds: float
) -> Evaluation:
    """Judge the values of one collection.

    + missing_seconds: an alert whose series has no value for so long ends as lost
    """
    watches = dict(before)
    changes: list[Changed] = []
    found = list(values)
    down = _down(found)
    for series, value, rule in rules.judged(found):
        if value != value or _is_explained(series, down):  # NaN says nothing
            continue
        old = before.get(series.key)
        status = rule.thresholds.status(value)
        if old is None and status is Status.OK:
            continue
        new = _watch(rule, old, series, value, status, at)
        watches[series.key] = new
        change = _CHANGES.get((old.severity if old else Status.OK, new.severity))
        if change is not None:
            changes.append(Changed(change, new, at))
        if new.severity is Status.OK and status is Status.OK:
            del watches[series.key]
    for key, old in before.items():
        if at - old.seen_at > missing_seconds and watches.get(key) is old:
            del watches[key]
            if old.severity is not Status.OK:
                changes.append(Changed(Change.LOST, old, at))
    return Evaluation(watches, tuple(changes))


def alerts(watches: Watches) -> dict[str, Watch]:
    """Those of the watches that are in alert."""
    return {key: one for key, one in watches.items() if one.severity is not Status.OK}


_OK, _WARNING, _CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
_CHANGES: Final = {
    (_OK, _WARNING): Change.RAISED,
    (_OK, _CRITICAL): Change.RAISED,
    (_WARNING, _CRITICAL): Change.WORSE,
    (_CRITICAL, _WARNING): Change.EASED,
    (_WARNING, _OK): Change.CLEARED,
    (_CRITICAL, _OK): Change.CLEARED,
}


def _watch(
    rule: Rule, old: Watch | None, series: Series, value: float, status: Status, at: float
) -> Watch:
    if old is None:
        old = Watch(series, value, at, Level(False, at), Level(False, at))
    new = replace(
        old,
        series=series,
        value=value,
        seen_at=at,
        warning=old.warning.with_value(status is not Status.OK, at, rule),
        critical=old.critical.with_value(status is Status.CRITICAL, at, rule),
    )
    if new.severity is not Status.OK and new.raised_at is None:
        return replace(new, raised_at=at)
    return new


def _down(values: Values) -> set[str]:
    """The sources of which something is down."""
    availability = service.AVAILABILITY.name
    return {
        series.metric.source
        for series, value in values
        if value == 0 and series.metric.name == availability
    }


def _is_explained(series: Series, down: set[str]) -> bool:
    """Whether a source that cannot be read is down: that is one alert, not two."""
    return series.metric is monitor.READABLE and series.label("source") in down
