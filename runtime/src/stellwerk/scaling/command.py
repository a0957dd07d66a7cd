"""The `stellwerk scaling` commands. Heavy imports wait until a command runs."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stellwerk.instances.cluster_command import ClusterGroup
from stellwerk.scaling.operating import COMMANDS
from stellwerk.settings.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from stellwerk.settings.root import Settings

BAD_INPUT = 2
"""Exit code where the settings, a trace or what was asked cannot be used."""


class _BadInputError(click.ClickException):
    exit_code = BAD_INPUT


@click.group(cls=ClusterGroup)
def scaling() -> None:
    """How the number of instances follows the load."""


for _command in COMMANDS:
    scaling.add_command(_command)


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the cluster, and its settings."""

    @click.option(
        "--inventory",
        type=click.Path(path_type=Path),
        default=Path("inventory"),
        show_default=True,
        help="The cluster: its hosts and, beside it, its settings.",
    )
    @click.option(
        "--group-data",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Folder of settings files; the one beside the inventory by default.",
    )
    @wraps(command)
    def run(inventory: Path, group_data: tuple[Path, ...], **rest: Any) -> None:
        from stellwerk.scaling.trace import TraceError
        from stellwerk.settings.cluster import load_cluster

        folders = list(group_data) or [inventory.parent / "group_data"]
        try:
            cluster = load_cluster(inventory, folders, {}, generate_secrets=False)
            command(next(iter(cluster.hosts.values())).settings, **rest)
        except (SettingsError, TraceError) as error:
            raise _BadInputError(str(error)) from None

    return run


@scaling.command()
@click.argument("service")
@click.option(
    "--trace",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.csv",
    help="Load to replay: a header, then rows of a time (UTC) and what came since the row before.",
)
@click.option(
    "--capacity",
    type=click.FloatRange(0, min_open=True),
    help="Load per second that one instance serves with all its CPU. By default so much that the"
    " trace's peak takes the service's maximum.",
)
@click.option(
    "--start-seconds",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="Time until a new instance serves.",
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Only the first so many.")
@click.option(
    "--forecast",
    is_flag=True,
    help="Replay it also with forecasts made of the trace's own past, as the settings have it.",
)
@click.option(
    "--picture", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw what happens."
)
@click.option(
    "--json",
    "report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures and every change with its reason.",
)
@_with_settings
def simulate(settings: "Settings", **options: Any) -> None:
    """Replay a trace through the policy of SERVICE.

    The same function decides as on the hosts. A trace says nothing of memory and of the service's
    own metrics, so only CPU counts. Beside it stand as many instances as the peak takes, all the
    time, and perfect foresight.
    """
    from stellwerk.scaling import simulation_view
    from stellwerk.scaling.simulating import Options, simulated
    from stellwerk.terminal.paint import paint_for

    picture, report = options.pop("picture"), options.pop("report")
    service = options["service"]
    _check_service(service, settings)
    run = simulated(settings, Options(**options))
    click.echo(
        f"{service} under {run.trace.name}: an instance serves {run.capacity.rate:.4g}/s and starts"
        f" in {run.capacity.start_seconds:g} s"
    )
    if run.left_out:
        click.echo(f"left out, as a trace says nothing of them: {', '.join(run.left_out)}")
    if run.unforeseen:
        click.echo(f"no forecast is acted on in the end: {run.unforeseen}")
    for line in simulation_view.table(run.outcomes, paint_for(sys.stdout)):
        click.echo(line)
    if picture:
        _write(picture, simulation_view.drawing(service, run.trace, run.outcomes))
    if report:
        _write(report, json.dumps(simulation_view.document(run.outcomes), indent=1) + "\n")


@scaling.command()
@click.argument("service")
@click.option(
    "--trace",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.csv",
    help="Load to forecast: a header, then rows of a time (UTC) and what came since the last.",
)
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Time zone whose days the load follows; that of the settings by default.",
)
@click.option(
    "--json",
    "report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures.",
)
@_with_settings
def backtest(
    settings: "Settings", service: str, path: Path, timezone: str | None, report: Path | None
) -> None:
    """Forecast a trace all along as if for SERVICE, and show how far off that was.

    Forecasts know only what was over when they were made. Errors are sums of what they were off by
    sums of the load (WAPE), after three weeks that are learned from only.
    """
    from stellwerk.scaling import backtest_view
    from stellwerk.scaling.backtesting import backtested
    from stellwerk.terminal.paint import paint_for

    _check_service(service, settings)
    run = backtested(settings, service, path, timezone)
    days = (run.trace.end - run.trace.start) / 86400
    click.echo(
        f"{service} under {run.trace.name}: {days:.0f} days of {run.load.zone} in steps of"
        f" {run.load.step / 60:g} min"
    )
    bound = settings.scaling.predictive.prescale.bound
    for line in backtest_view.table(run.verdicts, bound, paint_for(sys.stdout)):
        click.echo(line)
    if report:
        _write(report, json.dumps(backtest_view.document(run.verdicts), indent=1) + "\n")


def _check_service(name: str, settings: "Settings") -> None:
    if name not in settings.scaling.services:
        hint = did_you_mean(name, settings.scaling.services)
        raise _BadInputError(f"{name}: there is no such service in scaling.services{hint}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _BadInputError(f"{path}: cannot be written: {error.strerror}") from None
