"""What people are told of alerts: what they know is compared with what is so. Pure.

An alert that came and went before anybody was told is not told at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Final

from stellwerk.metrics.alerts import wording
from stellwerk.metrics.alerts.evaluation import Change, Changed, Watch
from stellwerk.metrics.alerts.silences import Silence, silenced
from stellwerk.metrics.model import Series, Status, Thresholds
from stellwerk.notifications.message import Message, worst
from stellwerk.terminal.figures import age, plural

if TYPE_CHECKING:
    from stellwerk.settings.types import Severity


@dataclass(frozen=True, slots=True)
class Told:
    """What people know of an alert: how bad it is, and when they were last told."""

    series: Series
    severity: Status
    at: float
    ended: Changed | None = None
    """How it ended, where they were not told that yet."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What people know: alerts by the keys of their series, and since when there is news."""

    told: Mapping[str, Told] = field(default_factory=dict)
    news_since: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: news within `group` are told as one; a lasting alert is repeated after `repeat`."""

    group: float
    repeat: float


class Kind(Enum):
    """What is new about an alert, the most important first."""

    NEW = "new"
    WORSE = "worse"
    LASTING = "lasting"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell about one alert."""

    key: str
    """Of its series."""
    kind: Kind
    severity: Status
    sentence: str


@dataclass(frozen=True, slots=True)
class Telling:
    """What people know once they are told the news, of which there may be none."""

    knowledge: Knowledge
    news: tuple[News, ...] = ()


def tell(
    known: Knowledge,
    alerts: Mapping[str, Watch],
    changes: Sequence[Changed],
    silences: Sequence[Silence],
    at: float,
    *,
    timing: Timing,
    thresholds: Callable[[Series], Thresholds],
) -> Telling:
    """Decide on what to tell.

    + alerts: those that are raised, by the keys of their series
    + changes: what has happened since the last time
    """
    told = _with_ends(known.told, alerts, changes)
    series = {key: one.series for key, one in told.items()}
    series |= {key: one.series for key, one in alerts.items()}
    hushed = {key for key, one in series.items() if silenced(silences, one, at)}
    # An end that nobody wants to hear of is known as if it had been told.
    told = {key: one for key, one in told.items() if one.ended is None or key not in hushed}
    news = [
        *(_end_news(key, one.ended) for key, one in told.items() if one.ended is not None),
        *(
            News(key, kind, one.severity, _sentence(kind, one, thresholds(one.series), at))
            for key, one in alerts.items()
            if key not in hushed and (kind := _kind(one, told.get(key), at, timing)) is not None
        ),
    ]
    if not news:
        return Telling(Knowledge(told))
    since = at if known.news_since is None or known.news_since > at else known.news_since
    if at - since < timing.group:
        return Telling(Knowledge(told, since))
    for one in news:
        if one.key in alerts:
            told[one.key] = Told(alerts[one.key].series, one.severity, at)
        else:
            del told[one.key]
    return Telling(Knowledge(told), tuple(news))


def message(news: Sequence[News], at: float, host: str) -> Message:
    """The message that tells the news, the most important first."""
    ordered = sorted(news, key=lambda one: (_ORDER.index(one.kind), -one.severity.rank))
    moment = datetime.fromtimestamp(at, UTC)
    severity = worst(_SEVERITIES[one.severity] for one in news)
    if len(ordered) == 1:
        return Message(moment, host, severity, ordered[0].sentence)
    kinds = Counter(one.kind for one in ordered)
    counts = ", ".join(f"{kinds[kind]} {kind.value}" for kind in _ORDER if kind in kinds)
    headline = f"{plural(len(ordered), 'alert')}: {counts}"
    lines = tuple(f"{one.kind.value}: {one.sentence}" for one in ordered)
    return Message(moment, host, severity, headline, lines)


_ORDER: Final = tuple(Kind)
_SEVERITIES: Final[Mapping[Status, "Severity"]] = {
    Status.OK: "info",
    Status.WARNING: "warning",
    Status.CRITICAL: "critical",
}


def _with_ends(
    told: Mapping[str, Told], alerts: Mapping[str, Watch], changes: Sequence[Changed]
) -> dict[str, Told]:
    """What people know, with what has ended; an alert that is raised again has not."""
    found = {key: replace(one, ended=None) if key in alerts else one for key, one in told.items()}
    for changed in changes:
        key = changed.watch.series.key
        if changed.change in (Change.CLEARED, Change.LOST) and key in found and key not in alerts:
            found[key] = replace(found[key], ended=changed)
    return found


def _kind(watch: Watch, told: Told | None, at: float, timing: Timing) -> Kind | None:
    """What there is to tell of an alert that is raised; None if people know it."""
    if told is None:
        return Kind.NEW
    if watch.severity.rank > told.severity.rank:
        return Kind.WORSE
    return Kind.LASTING if not 0 <= at - told.at < timing.repeat else None


def _sentence(kind: Kind, watch: Watch, thresholds: Thresholds, at: float) -> str:
    said = wording.alert(watch, thresholds)
    if kind == Kind.LASTING and watch.raised_at is not None:
        return f"{said}, for {age(at - watch.raised_at)} now"
    return said


def _end_news(key: str, ended: Changed) -> News:
    words = wording.lost if ended.change is Change.LOST else wording.cleared
    return News(key, Kind.OVER, Status.OK, words(ended.watch))
