"""The `stellwerk` command. Each command is in a module of its own, imported only when it runs."""

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "agent": "stellwerk.instances.agent.command:agent",
    "alerts": "stellwerk.metrics.alerts.command:alerts",
    "audit": "stellwerk.audit.command:audit",
    "cache": "stellwerk.caching.command:cache",
    "database": "stellwerk.database.command:database",
    "instances": "stellwerk.instances.command:instances",
    "monitor": "stellwerk.metrics.monitor.command:monitor",
    "loadtest": "stellwerk.loadtest.command:loadtest",
    "releases": "stellwerk.instances.releases_command:releases",
    "report": "stellwerk.metrics.report.command:report",
    "rollout": "stellwerk.instances.rollout_command:rollout",
    "sample": "stellwerk.sample.command:sample",
    "scaler": "stellwerk.scaling.scaler.command:scaler",
    "scaling": "stellwerk.scaling.command:scaling",
    "settings": "stellwerk.settings.command:settings",
}
"""Where each command is, as module:name."""


class _LazyGroup(click.Group):
    """A group that imports the command that is asked for and no other: services start with it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a click command")
        return command


@click.group(cls=_LazyGroup)
@click.version_option(package_name="stellwerk")
def main() -> None:
    """Run and inspect a Stellwerk platform."""
