"""Runs as text for people, 100 columns wide. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from textwrap import wrap
from typing import Final

from stellwerk.audit.model import Outcome, Run, Step
from stellwerk.terminal.figures import age
from stellwerk.terminal.paint import Paint, Tone, one_line

WIDTH: Final = 100
_TONES: Final = {Outcome.OK: Tone.GOOD, Outcome.FAILED: Tone.BAD, Outcome.INTERRUPTED: Tone.BAD}


def runs_text(runs: Iterable[Run], paint: Paint) -> list[str]:
    """Every run with what it changed where, newest last."""
    found = list(runs)
    if not found:
        return ["No run has changed anything here yet."]
    return [line for run in found for line in _run(run, paint)]


def _run(run: Run, paint: Paint) -> Iterator[str]:
    took = _took(run)
    outcome = paint(f"{run.outcome}{took}", _TONES.get(run.outcome, Tone.WEAK))
    revision = f"revision {run.revision}" if run.revision else "no revision known"
    yield f"{_time(run.began)}  {outcome}  {one_line(run.who)}, {revision}"
    users = sorted(set(run.users.values()) - {""})
    yield paint(f"  run {run.run} as {', '.join(users)} on {', '.join(run.hosts)}", Tone.DIM)
    if run.error:
        yield from _wrapped(one_line(run.error), 2)
    for step, hosts in _together(run.steps).items():
        yield from _step(step, hosts)


def _together(steps: Iterable[Step]) -> dict[Step, list[str]]:
    """Steps that several hosts took alike, whenever each did."""
    found: dict[Step, list[str]] = {}
    for step in steps:
        found.setdefault(replace(step, host="", at=""), []).append(step.host)
    return found


def _step(step: Step, hosts: Iterable[str]) -> Iterator[str]:
    does = f" [{', '.join(step.units)}]" if step.units else ""
    where = ", ".join(dict.fromkeys(hosts))
    yield from _wrapped(one_line(f"{step.component}: {step.reason}{does} ({where})"), 2)
    for detail in step.details:
        yield from _wrapped(one_line(detail), 4)
    if step.error:
        yield from _wrapped(f"failed: {one_line(step.error)}", 4)


def _took(run: Run) -> str:
    try:
        seconds = (_moment(run.ended) - _moment(run.began)).total_seconds()
    except ValueError:
        return ""
    return f" in {age(seconds)}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _time(text: str) -> str:
    return one_line(text).replace("T", " ").removesuffix("Z") + " UTC"


def _wrapped(text: str, indent: int) -> Iterable[str]:
    return wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
    )
