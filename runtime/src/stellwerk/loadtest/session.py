"""One `stellwerk loadtest run` from its options to its exit code: the effects in their order."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from stellwerk.loadtest import watch
from stellwerk.loadtest.document import conditions, document
from stellwerk.loadtest.files import History, ReportError, check_writable, write_report
from stellwerk.loadtest.junit import junit
from stellwerk.loadtest.page import page
from stellwerk.loadtest.plan import Target
from stellwerk.loadtest.planning import (
    PlanError,
    Planned,
    plan_run,
    processes_needed,
    read_headers,
)
from stellwerk.loadtest.progress import Progress
from stellwerk.loadtest.record import RunRecord
from stellwerk.loadtest.run import WorkerError, run
from stellwerk.loadtest.source import Definitions, Project
from stellwerk.loadtest.table import table
from stellwerk.loadtest.target import TargetError, parse_url, reach
from stellwerk.loadtest.verdict import Result, Verdict, judge
from stellwerk.loadtest.watched import Watched, choose

_NOT_REPORTED = 2


class InputError(Exception):
    """The run cannot be made as asked; the message is one sentence."""


@dataclass(frozen=True)
class Options:
    """What was asked on the command line."""

    scenario: str
    url: str
    scale: float = 1.0
    processes: int | None = None
    seed: int = 1
    ca: Path | None = None
    headers: Path | None = None
    watch_hosts: tuple[str, ...] = ()
    no_watch_hosts: bool = False
    watch: tuple[str, ...] = ()
    watch_local: bool = False
    history: Path | None = None
    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None


def run_session(project: Project, options: Options) -> int:
    """Run, judge, print and report; return the exit code.

    Raises InputError before anything is sent, SettingsError for an unknown scenario or host.
    """
    definitions = project.definitions
    watched = choose(
        project,
        options.watch_hosts,
        no_hosts=options.no_watch_hosts,
        urls=options.watch,
        local=options.watch_local,
    )
    try:
        planned = _planned(definitions, options)
        history = _history(options)
        earlier = (
            history.earlier(conditions(planned), definitions.loadtest.comparison.runs)
            if history
            else []
        )
        record = asyncio.run(_measured(definitions, options, planned, watched))
    except (TargetError, PlanError, ReportError, watch.WatchError, WorkerError) as error:
        raise InputError(str(error)) from None
    verdict = judge(record, definitions, earlier)
    click.echo(table(record, verdict))
    reported = _report(options, history, record, verdict)
    if not reported and verdict.result is Result.GOOD:
        return _NOT_REPORTED
    return int(verdict.result)


def _planned(definitions: Definitions, options: Options) -> Planned:
    target = parse_url(options.url, options.ca)
    headers = read_headers(options.headers) if options.headers else None

    def plan(reached: Target) -> Planned:
        return plan_run(
            definitions,
            options.scenario,
            reached,
            scale=options.scale,
            seed=options.seed,
            headers=headers,
        )

    plan(target)  # an unknown scenario is said before the server is asked
    return plan(asyncio.run(reach(target)))


def _history(options: Options) -> History | None:
    for path in (options.json, options.junit, options.html):
        if path is not None:
            check_writable(path)
    if options.history is None:
        return None
    history = History(options.history)
    history.prepare()
    return history


async def _measured(
    definitions: Definitions, options: Options, planned: Planned, watched: Watched
) -> RunRecord:
    async with watched.opened(planned.plan.target.authority_file) as sources:
        samples = await watch.first_look(sources, watched.required)
        for line in watch.summary(samples):
            click.echo(line, err=True)
        return await run(
            planned,
            processes=min(options.processes or processes_needed(planned.plan), planned.plan.users),
            sources=sources,
            sample_interval=definitions.loadtest.sample_interval_seconds,
            display=Progress(sys.stderr).show,
            samples=samples,
            no_hosts=watched.no_hosts,
        )


def _report(options: Options, history: History | None, record: RunRecord, verdict: Verdict) -> bool:
    """Write every report that was asked for; return whether all could be written."""
    text = f"{json.dumps(document(record, verdict), indent=1)}\n"
    writes: list[Callable[[], None]] = []
    if history is not None:
        scenario = record.planned.scenario
        writes.append(partial(history.add, scenario, record.started_at, text))
    if options.json is not None:
        writes.append(partial(write_report, options.json, text))
    if options.junit is not None:
        writes.append(partial(write_report, options.junit, junit(record, verdict)))
    if options.html is not None:
        writes.append(partial(write_report, options.html, page(record, verdict)))
    written = True
    for write in writes:
        try:
            write()
        except ReportError as error:
            click.echo(str(error), err=True)
            written = False
    return written
