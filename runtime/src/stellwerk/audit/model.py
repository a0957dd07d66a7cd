"""Runs as hosts recorded them, and all hosts' records of a run as one. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a run ended on a host. A run that was cut off with its host has no end: unknown."""

    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    UNKNOWN = "unknown"


_WORST_FIRST = (Outcome.FAILED, Outcome.INTERRUPTED, Outcome.UNKNOWN, Outcome.RUNNING, Outcome.OK)


@dataclass(frozen=True)
class Step:
    """One component that a run changed on a host; `error` is why that failed."""

    host: str
    operation: str
    component: str
    reason: str
    details: tuple[str, ...]
    units: tuple[str, ...]
    at: str
    error: str = ""


@dataclass(frozen=True)
class Run:
    """A run. Times are UTC, as 2026-01-31T12:00:00Z; `ended` is empty while that is not known."""

    run: str
    who: str
    revision: str
    began: str
    ended: str
    outcome: Outcome
    users: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that it changed."""
        return tuple(sorted(self.users))


def read_runs(lines: Iterable[str], host: str, *, running: str = "") -> tuple[Run, ...]:
    """The runs of one host's record, oldest first; a line that is none is passed over.

    + running: the run that holds the host's lock now
    """
    found: dict[str, Run] = {}
    for line in lines:
        entry = _entry(line)
        name = str(entry.get("run", ""))
        match entry.get("event"):
            case "begun":
                outcome = Outcome.RUNNING if name == running else Outcome.UNKNOWN
                users = {host: str(entry.get("user", ""))}
                who, revision = str(entry.get("who", "")), str(entry.get("revision", ""))
                began = str(entry.get("at", ""))
                found[name] = Run(name, who, revision, began, "", outcome, users)
            case "changed" if name in found:
                steps = (*found[name].steps, *_steps(entry, host))
                found[name] = replace(found[name], steps=steps)
            case "ended" if name in found:
                found[name] = replace(
                    found[name],
                    ended=str(entry.get("at", "")),
                    outcome=_outcome(entry),
                    error=str(entry.get("error", "")),
                )
    return tuple(found.values())


def merged(records: Iterable[Run]) -> tuple[Run, ...]:
    """The records of several hosts, one run each, oldest first; its outcome is the worst."""
    found: dict[str, Run] = {}
    for one in records:
        found[one.run] = _joined(found[one.run], one) if one.run in found else one
    return tuple(sorted(found.values(), key=lambda one: (one.began, one.run)))


def document(run: Run) -> Mapping[str, Any]:
    """A run as JSON; a released format: keys are only ever added."""
    return {
        "run": run.run,
        "who": run.who,
        "revision": run.revision,
        "began": run.began,
        "ended": run.ended or None,
        "outcome": str(run.outcome),
        "error": run.error,
        "users": dict(run.users),
        "changes": [
            {
                "host": step.host,
                "operation": step.operation,
                "component": step.component,
                "reason": step.reason,
                "details": list(step.details),
                "units": list(step.units),
                "at": step.at,
                "error": step.error,
            }
            for step in run.steps
        ],
    }


def parse(document: Mapping[str, Any]) -> Run:
    """What `document` made of a run. Raises KeyError, TypeError or ValueError for anything else."""
    return Run(
        document["run"],
        document["who"],
        document["revision"],
        document["began"],
        document["ended"] or "",
        Outcome(document["outcome"]),
        dict(document["users"]),
        document["error"],
        tuple(map(_parsed, document["changes"])),
    )


def _parsed(step: Mapping[str, Any]) -> Step:
    lists = {key: tuple(step[key]) for key in ("details", "units")}
    return Step(**{**step, **lists})


def _entry(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _steps(entry: Mapping[str, Any], host: str) -> Iterable[Step]:
    for change in entry.get("changes", ()):
        yield Step(
            host,
            str(entry.get("operation", "")),
            str(change.get("component", "")),
            str(change.get("reason", "")),
            tuple(change.get("details", ())),
            tuple(change.get("units", ())),
            str(entry.get("at", "")),
            str(entry.get("error", "")),
        )


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    try:
        return Outcome(entry.get("outcome", ""))
    except ValueError:
        return Outcome.UNKNOWN


def _joined(one: Run, other: Run) -> Run:
    worse = min(one, other, key=lambda run: _WORST_FIRST.index(run.outcome))
    return replace(
        one,
        began=min(one.began, other.began),
        ended=max(one.ended, other.ended) if one.ended and other.ended else "",
        outcome=worse.outcome,
        error=worse.error,
        users={**one.users, **other.users},
        steps=tuple(sorted((*one.steps, *other.steps), key=lambda step: step.at)),
    )
