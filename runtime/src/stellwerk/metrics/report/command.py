"""The `stellwerk report` command: how the cluster did over a time, by the monitors of its hosts."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from stellwerk.instances import access
from stellwerk.instances.cluster_command import (
    FAILED,
    ClusterCommand,
    UnknownNameError,
    on_host,
)
from stellwerk.metrics.model import Source
from stellwerk.metrics.monitors import TOKEN, Monitors
from stellwerk.metrics.report.build import merged
from stellwerk.metrics.report.document import document
from stellwerk.metrics.report.gathering import gathered
from stellwerk.metrics.report.page import page
from stellwerk.metrics.report.question import PERIODS, USUAL_PERIOD, Question
from stellwerk.metrics.report.table import table
from stellwerk.settings.errors import did_you_mean
from stellwerk.settings.files import HostFile, Member
from stellwerk.terminal.paint import one_line, paint_for
from stellwerk.terminal.screen import width

_TIME_LIMIT_SECONDS: Final = 30
"""A report on a week is made of millions of values."""


@click.command(cls=ClusterCommand)
@click.option("--period", type=click.Choice(list(PERIODS)), default=USUAL_PERIOD, show_default=True)
@click.option("--service", help="All of a service, or of system, postgresql, redis ...")
@click.option("--host", "hosts", multiple=True, help="Only this host; may be repeated.")
@click.option(
    "--all", "everything", is_flag=True, help="Also what has neither thresholds nor a baseline."
)
@click.option("--json", "form", flag_value="json", help="For programs.")
@click.option("--html", "form", flag_value="html", help="As a page: stellwerk report --html > FILE")
@on_host
async def report(
    host: HostFile,
    period: str,
    service: str | None,
    hosts: tuple[str, ...],
    everything: bool,
    form: str | None,
) -> int:
    """How the cluster did over a time, against its baselines and thresholds.

    Of every metric the latest value with its status, how far it is off its baseline, average,
    minimum, maximum, 95th percentile, and by how much the average has changed since the period
    before. The exit code is 1 where a monitor does not answer: the report is not whole then.
    """
    _check_service(host, service)
    members = _members(host, hosts)
    question = Question(period, service, everything)
    monitors = Monitors(host, access.credential(TOKEN))
    reports, problems = await gathered(monitors, members, question, _TIME_LIMIT_SECONDS)
    if not reports:
        for problem in problems:
            click.echo(f"{problem.host}: {one_line(problem.sentence)}", err=True)
        return FAILED
    found = merged(reports, problems)
    if form == "json":
        click.echo(json.dumps(document(found), indent=1))
    elif form == "html":
        click.echo(page(found), nl=False)
    else:
        click.echo("\n".join(table(found, width(), paint_for(sys.stdout))))
    return FAILED if problems else 0


def _members(host: HostFile, names: Sequence[str]) -> list[Member]:
    """The hosts of these names, or all."""
    known = {one.name: one for one in host.members}
    _check_names(names, known, "host")
    return [known[name] for name in dict.fromkeys(names or known)]


def _check_service(host: HostFile, service: str | None) -> None:
    if service is not None:
        known = [*host.settings.services, *(source.value for source in Source)]
        _check_names([service], known, "service")


def _check_names(names: Iterable[str], known: Iterable[str], kind: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(f"{name}: unknown {kind}{did_you_mean(name, known)}")
