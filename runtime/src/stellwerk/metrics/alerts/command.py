"""The `stellwerk alerts` commands: the alerts of all hosts, silences, the template for Zabbix."""

import json
import re
import sys
from collections.abc import Sequence
from typing import Final

import click

from stellwerk.instances import access
from stellwerk.instances.cluster_command import (
    FAILED,
    ClusterGroup,
    UnknownNameError,
    on_host,
)
from stellwerk.metrics.alerts.api import PATH, SILENCES
from stellwerk.metrics.alerts.table import silence_sentence, table
from stellwerk.metrics.monitors import TOKEN, Answers, Monitors
from stellwerk.remote import operator
from stellwerk.settings.errors import did_you_mean
from stellwerk.settings.files import HostFile, Member
from stellwerk.terminal.paint import one_line, paint_for
from stellwerk.terminal.screen import width

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> int:
    """A length of time such as "90m", in seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter("expected a time such as 30m, 2h or 1d")
    return int(match[1]) * _SECONDS[match[2]]


@click.group(cls=ClusterGroup, default="list")
def alerts() -> None:
    """What is wrong in the cluster, by its monitors.

    `stellwerk alerts` is short for `stellwerk alerts list`.
    """


@alerts.command("list")
@click.option("--host", "hosts", multiple=True, help="Only those of this host; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@on_host
async def list_alerts(host: HostFile, hosts: tuple[str, ...], as_json: bool) -> int:
    """List the alerts of all hosts, the worst first, and the silences.

    The exit code is 1 where a monitor does not answer: the list is not whole then.
    """
    answers = await _monitors(host).ask(_members(host, hosts), "GET", PATH)
    if as_json:
        document = {"hosts": answers.documents, "problems": answers.problems}
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo("\n".join(table(answers, width(), paint_for(sys.stdout))))
    return FAILED if answers.problems else 0


@alerts.command()
@click.option("--host", "hosts", multiple=True, help="Only on this host; may be repeated.")
@click.option("--metric", default="*", help="Fitting metrics, such as 'redis.*'.")
@click.option("--service", default="*", help="Fitting services.")
@click.option("--subject", default="*", help="Fitting instances, ports, filesystems ...")
@click.option(
    "--for", "seconds", type=duration, metavar="TIME", required=True, help="30m, 2h, 1d ..."
)
@click.option("--reason", default="", help="For those who wonder.")
@on_host
async def silence(
    host: HostFile,
    hosts: tuple[str, ...],
    metric: str,
    service: str,
    subject: str,
    seconds: int,
    reason: str,
) -> int:
    """Keep alerts from being told for a while. They are still judged and listed.

    What still lasts when the silence ends is told then.
    """
    wanted = {
        "seconds": seconds,
        "by": operator(),
        "reason": reason,
        "metric": metric,
        "service": service,
        "subject": subject,
    }
    return _done(await _monitors(host).ask(_members(host, hosts), "POST", SILENCES, wanted), "")


@alerts.command()
@click.argument("names", nargs=-1, required=True, metavar="HOST/NUMBER...")
@on_host
async def unsilence(host: HostFile, names: tuple[str, ...]) -> int:
    """End silences before their time. Their names are in the list of alerts."""
    code = 0
    for name in names:
        of, _, number = name.rpartition("/")
        if not of or not number.isdecimal():
            raise UnknownNameError(f"{name}: expected HOST/NUMBER, such as {host.name}/1")
        members = _members(host, [of])
        answers = await _monitors(host).ask(members, "DELETE", f"{SILENCES}/{number}")
        code = max(code, _done(answers, "ended: "))
    return code


@alerts.command("zabbix-template")
@on_host
async def zabbix_template(host: HostFile) -> int:
    """Print the template of hosts for Zabbix, as YAML for its import.

    Its thresholds and times are those of the settings: import it again when they change.
    """
    # Loaded where they are needed only.
    import yaml

    from stellwerk.metrics.zabbix.template import template

    document = template(host.settings)
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
    return 0


def _monitors(host: HostFile) -> Monitors:
    return Monitors(host, access.credential(TOKEN))


def _members(host: HostFile, names: Sequence[str]) -> list[Member]:
    """The hosts of these names, or all. Raises UnknownNameError."""
    known = {one.name: one for one in host.members}
    for name in names:
        if name not in known:
            raise UnknownNameError(f"{name}: unknown host{did_you_mean(name, known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _done(answers: Answers, word: str) -> int:
    for name, document in sorted(answers.documents.items()):
        click.echo(f"{word}{silence_sentence(name, document)}")
    for name, problem in sorted(answers.problems.items()):
        click.echo(f"{name}: {one_line(problem)}", err=True)
    return FAILED if answers.problems else 0
