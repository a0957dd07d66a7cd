"""Roll-outs for a terminal and as JSON. Where they stand is said by `rollouts`. Pure."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stellwerk.instances.availability import Cluster
from stellwerk.instances.generation import short
from stellwerk.instances.model import InstanceKey, Rollout, RolloutState, Service
from stellwerk.instances.rollouts import Standing, current, standing
from stellwerk.terminal.columns import shortened
from stellwerk.terminal.figures import age, bar
from stellwerk.terminal.paint import Paint, Tone, one_line, printable

LEAST_WIDTH: Final = 60
_BAR: Final = 20
_MOST_RELEASE: Final = 30
_TONES: Final = {
    RolloutState.RUNNING: Tone.WEAK,
    RolloutState.FAILED: Tone.BAD,
    RolloutState.DONE: Tone.GOOD,
    RolloutState.REPLACED: Tone.DIM,
}


@dataclass(frozen=True)
class ServiceRollout:
    """A service, its newest roll-out if it ever had one, and where that stands."""

    service: Service
    rollout: Rollout | None
    standing: Standing | None
    release: str  # of the service's generation; empty where that has none

    @property
    def state(self) -> str:
        """In a word."""
        return str(self.rollout.state) if self.rollout else "none"


def service_rollout(cluster: Cluster, service: Service, release: str) -> ServiceRollout:
    """What is to be shown of a service."""
    rollout = current(cluster.snapshot, service.name)
    return ServiceRollout(
        service, rollout, standing(cluster, rollout) if rollout else None, release
    )


def lines(shown: ServiceRollout, at: datetime, width: int, paint: Paint) -> list[str]:
    """A few lines about one service, none but those of its journal longer than `width` (or 60)."""
    return list(_lines(shown, at, max(width, LEAST_WIDTH), paint))


def moved(shown: ServiceRollout) -> object:
    """What of it is news, and not only older."""
    rollout, standing = shown.rollout, shown.standing
    return (
        rollout and (rollout.id, rollout.state, rollout.canary, rollout.canary_passed),
        standing and (standing.updated, standing.total),
    )


def document(shown: ServiceRollout) -> Mapping[str, Any]:
    """For programs: times in ISO 8601, what does not apply as null."""
    service, rollout, standing = shown.service, shown.rollout, shown.standing
    common = {
        "service": service.name,
        "state": shown.state,
        "generation": service.generation,
        "release": shown.release or None,
        "stable": service.stable,
    }
    if rollout is None or standing is None:
        return common
    return {
        **common,
        "rollout": rollout.id,
        "previous": rollout.previous,
        "restart": rollout.restart,
        "updated": standing.updated,
        "instances": standing.total,
        "sentence": standing.sentence,
        "canary": str(InstanceKey(service.name, rollout.canary)) if rollout.canary else None,
        "canary_since": _iso(rollout.canary_since),
        "canary_seconds": rollout.canary_seconds,
        "canary_passed": rollout.canary_passed,
        "started_at": _iso(rollout.started_at),
        "started_by": rollout.started_by,
        "progressed_at": _iso(rollout.progressed_at),
        "finished_at": _iso(rollout.finished_at),
        "reason": rollout.reason or None,
        "failed_instance": rollout.failed_instance or None,
        "journal": rollout.journal.splitlines(),
    }


def _lines(shown: ServiceRollout, at: datetime, width: int, paint: Paint) -> Iterator[str]:
    service, rollout, standing = shown.service, shown.rollout, shown.standing
    name = paint(shortened(printable(service.name), width // 2), Tone.STRONG)
    if rollout is None or standing is None:
        yield f"{name}  no roll-out yet; generation {short(service.generation)}"
        return
    yield f"{name}  {paint(_state(rollout, at), _TONES[rollout.state])}"
    share = standing.updated / standing.total if standing.total else 1.0
    yield from _wrapped(f"{bar(share, _BAR)}  {_what(shown, rollout)}", width)
    failed = rollout.state is RolloutState.FAILED
    for line in _wrapped(one_line(standing.sentence), width):
        yield paint(line, Tone.BAD if failed else Tone.NONE)
    if failed:
        yield from _after_failure(rollout, paint)


def _state(rollout: Rollout, at: datetime) -> str:
    if rollout.state is RolloutState.RUNNING:
        return f"running for {age((at - rollout.started_at).total_seconds())}"
    end = rollout.finished_at or rollout.progressed_at
    return f"{rollout.state} {age((at - end).total_seconds())} ago"


def _what(shown: ServiceRollout, rollout: Rollout) -> str:
    if rollout.restart:
        what = f"restart with {short(rollout.generation)}"
    elif rollout.previous and rollout.previous != rollout.generation:
        what = f"{short(rollout.previous)} → {short(rollout.generation)}"
    else:
        what = f"to {short(rollout.generation)}"
    if shown.release:
        what += f" ({shortened(printable(shown.release), _MOST_RELEASE)})"
    return f"{what}, by {one_line(rollout.started_by) or 'unknown'}"


def _after_failure(rollout: Rollout, paint: Paint) -> Iterator[str]:
    if rollout.journal.strip():
        yield f"  the last lines of the journal of {rollout.failed_instance}:"
        for line in rollout.journal.rstrip().splitlines():
            yield f"  {paint('|', Tone.DIM)} {printable(line)}".rstrip()
    yield f"  to go on:   stellwerk rollout resume {rollout.service}"
    if not rollout.restart and rollout.previous not in (None, rollout.generation):
        yield f"  to go back: stellwerk rollout undo {rollout.service}"


def _wrapped(text: str, width: int) -> Iterator[str]:
    yield from (f"  {line}" for line in textwrap.wrap(text, width - 2))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
