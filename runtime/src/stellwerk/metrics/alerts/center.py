"""The alerts of a host at work: judges each collection, keeps what is known, tells people."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.metrics.alerts import state as keeping
from stellwerk.metrics.alerts import wording
from stellwerk.metrics.alerts.evaluation import Change, Changed, Values, Watch, alerts, evaluate
from stellwerk.metrics.alerts.rules import Rules
from stellwerk.metrics.alerts.silences import Silence, in_force, next_number, silenced
from stellwerk.metrics.alerts.telling import Timing, message, tell
from stellwerk.metrics.model import Thresholds
from stellwerk.metrics.registry import Registry
from stellwerk.notifications.delivery import Notifications

if TYPE_CHECKING:
    from stellwerk.settings.monitoring import Monitoring

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is raised."""

    watch: Watch
    thresholds: Thresholds
    silenced: bool

    @property
    def sentence(self) -> str:
        """What is wrong."""
        return wording.alert(self.watch, self.thresholds)


class AlertCenter:
    """Alerts of one host. `path` is the file that keeps what is known over restarts."""

    def __init__(
        self,
        host: str,
        registry: Registry,
        settings: "Monitoring",
        notifications: Notifications,
        path: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._registry = registry
        self._rules = Rules(registry, settings.alerts)
        self._missing = settings.alerts.missing_seconds
        receivers = settings.receivers
        self._timing = Timing(receivers.group_seconds, receivers.repeat_seconds)
        self._notifications = notifications
        self._path = path
        self._clock = clock
        self._state = keeping.load(path, clock())
        self._unsaved = False

    def observe(self, values: Values, at: float) -> tuple[Changed, ...]:
        """Judge the values of a collection, and tell of what there is to tell.

        To be called after each collection, also one without any values. Returns what changed.
        """
        before = self._state
        found = evaluate(self._rules, before.watches, values, at, self._missing)
        for changed in found.changes:
            _log(changed, self._registry.thresholds(changed.watch.series))
        telling = tell(
            before.knowledge,
            alerts(found.watches),
            found.changes,
            before.silences,
            at,
            timing=self._timing,
            thresholds=self._registry.thresholds,
        )
        # First queued, then known: who is killed between tells it twice rather than never.
        if telling.news:
            self._notifications.tell(message(telling.news, at, self._host), urgent=True)
        self._state = replace(before, watches=found.watches, knowledge=telling.knowledge)
        if found.changes or telling.knowledge != before.knowledge or self._unsaved:
            self._save()
        return found.changes

    def now(self) -> float:
        """The time by which silences end, in seconds since the epoch."""
        return self._clock()

    def alerts(self) -> list[Alert]:
        """The alerts that are raised, the worst and then the oldest first."""
        now = self._clock()
        found = [
            Alert(
                watch,
                self._registry.thresholds(watch.series),
                silenced(self._state.silences, watch.series, now),
            )
            for watch in alerts(self._state.watches).values()
        ]
        return sorted(found, key=lambda one: (-one.watch.severity.rank, one.watch.raised_at or 0.0))

    def silences(self) -> tuple[Silence, ...]:
        """The silences in force."""
        return in_force(self._state.silences, self._clock())

    def silence(
        self, seconds: float, by: str, reason: str, *, metric: str, service: str, subject: str
    ) -> Silence:
        """Add a silence and return it; patterns as in `Silence`."""
        now = self._clock()
        number = next_number(self._state.silences)
        added = Silence(number, now + seconds, by, reason, metric, service, subject)
        kept = in_force(self._state.silences, now)
        self._state = replace(self._state, silences=(*kept, added))
        self._save()
        return added

    def unsilence(self, numbers: Collection[int]) -> tuple[Silence, ...]:
        """End silences; returns those that were in force."""
        ended = tuple(one for one in self.silences() if one.number in numbers)
        kept = tuple(one for one in self.silences() if one.number not in numbers)
        self._state = replace(self._state, silences=kept)
        self._save()
        return ended

    def _save(self) -> None:
        try:
            keeping.save(self._path, self._state)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                _logger.error("%s: cannot be written: %s", self._path, error.strerror)
            self._unsaved = True


def _log(changed: Changed, thresholds: Thresholds) -> None:
    sentences = {Change.CLEARED: wording.cleared, Change.LOST: wording.lost}
    ended = sentences.get(changed.change)
    sentence = ended(changed.watch) if ended else wording.alert(changed.watch, thresholds)
    level = logging.INFO if changed.change in (Change.CLEARED, Change.EASED) else logging.WARNING
    _logger.log(level, "alert %s: %s", changed.change.value, sentence)
