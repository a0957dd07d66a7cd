"""What is known of alerts, as a file that survives a restart of the monitor."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from stellwerk.metrics import registry
from stellwerk.metrics.alerts import silences as silencing
from stellwerk.metrics.alerts.evaluation import Change, Changed, Level, Watch, Watches, alerts
from stellwerk.metrics.alerts.silences import Silence
from stellwerk.metrics.alerts.telling import Knowledge, Told
from stellwerk.metrics.model import Series, Status

_FORMAT: Final = 1

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """All that alerts need to know of the past."""

    watches: Watches = field(default_factory=dict)
    knowledge: Knowledge = field(default_factory=Knowledge)
    silences: tuple[Silence, ...] = ()


def load(path: Path, at: float) -> State:
    """What the file says. One that cannot be read is set aside, and nothing is known.

    The time in which no monitor ran counts for nothing: no series was missing then.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State()
    except OSError as error:
        _logger.error("%s: cannot be read: %s; alerts begin anew", path, error.strerror)
        return State()
    try:
        return _resumed(from_document(json.loads(text)), at)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _logger.error("%s: is broken and set aside: %s; alerts begin anew", path, error)
        _set_aside(path)
        return State()


def save(path: Path, state: State) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump(to_document(state), stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def to_document(state: State) -> dict[str, Any]:
    """The state for JSON."""
    return {
        "format": _FORMAT,
        "watches": [_watch_document(one) for one in state.watches.values()],
        "told": [_told_document(one) for one in state.knowledge.told.values()],
        "news_since": state.knowledge.news_since,
        "silences": silencing.document(state.silences),
    }


def from_document(values: Mapping[str, Any]) -> State:
    """The state that `to_document` made. Raises ValueError, KeyError or TypeError on others."""
    if values["format"] != _FORMAT:
        raise ValueError(f"its format is {values['format']}, not {_FORMAT}")
    watches = [_watch(one) for one in values["watches"] if _is_known(one)]
    told = [_told(one) for one in values["told"] if _is_known(one)]
    since = values["news_since"]
    return State(
        {one.series.key: one for one in watches},
        Knowledge({one.series.key: one for one in told}, None if since is None else float(since)),
        silencing.from_document(values["silences"]),
    )


def _resumed(state: State, at: float) -> State:
    watches = {
        # A value that had not lasted has to last anew.
        key: replace(
            one,
            seen_at=at,
            warning=replace(one.warning, since=at),
            critical=replace(one.critical, since=at),
        )
        for key, one in state.watches.items()
    }
    raised = alerts(watches)
    told = {
        key: one
        for key, one in state.knowledge.told.items()
        if key in raised or one.ended is not None
    }
    return replace(state, watches=watches, knowledge=replace(state.knowledge, told=told))


def _set_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(f"{path.name}.broken"))
    except OSError as error:
        _logger.error("%s: cannot be set aside: %s", path, error.strerror)


def _series_document(series: Series) -> dict[str, Any]:
    return {"metric": series.metric.key, "service": series.service, "labels": dict(series.labels)}


def _is_known(values: Mapping[str, Any]) -> bool:
    """Whether this release has the metric, with these labels."""
    try:
        _series(values)
    except (LookupError, ValueError):
        return False
    return True


def _series(values: Mapping[str, Any]) -> Series:
    return registry.metric(values["metric"]).series(values["service"], **values["labels"])


def _watch_document(one: Watch) -> dict[str, Any]:
    return {
        **_series_document(one.series),
        "value": one.value,
        "seen_at": one.seen_at,
        "warning": _level_document(one.warning),
        "critical": _level_document(one.critical),
        "raised_at": one.raised_at,
    }


def _watch(values: Mapping[str, Any]) -> Watch:
    raised = values["raised_at"]
    return Watch(
        _series(values),
        float(values["value"]),
        float(values["seen_at"]),
        _level(values["warning"]),
        _level(values["critical"]),
        None if raised is None else float(raised),
    )


def _level_document(level: Level) -> list[bool | float]:
    return [level.exceeded, level.since, level.believed]


def _level(values: Sequence[Any]) -> Level:
    exceeded, since, believed = values
    return Level(bool(exceeded), float(since), bool(believed))


def _told_document(one: Told) -> dict[str, Any]:
    ended = one.ended
    return {
        **_series_document(one.series),
        "severity": one.severity.value,
        "at": one.at,
        "ended": ended
        and {
            "change": ended.change.value,
            "at": ended.at,
            "watch": _watch_document(ended.watch),
        },
    }


def _told(values: Mapping[str, Any]) -> Told:
    ended = values["ended"]
    return Told(
        _series(values),
        Status(values["severity"]),
        float(values["at"]),
        ended and Changed(Change(ended["change"]), _watch(ended["watch"]), float(ended["at"])),
    )
