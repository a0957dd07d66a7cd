"""The commands `stellwerk settings show` and `stellwerk settings explain`."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import yaml

from stellwerk.settings.cluster import Cluster, load_cluster
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.explain import explain as explain_setting
from stellwerk.settings.schema import root

UNUSABLE = 2
"""Exit code where the settings, or what was asked about them, are wrong."""


@click.group()
def settings() -> None:
    """What the settings of a host are, and where they come from."""


def _on_cluster(command: Callable[..., str]) -> Callable[..., None]:
    """Give a command the options that name the cluster, and load it."""

    @click.option("--inventory", type=Path, default=Path("inventory"), show_default=True)
    @click.option(
        "--group-data",
        type=Path,
        multiple=True,
        help="Folder of settings files; the one beside the inventory by default.",
    )
    @click.option("--data", multiple=True, metavar="KEY=VALUE", help="As given to pyinfra.")
    @wraps(command)
    def run(
        inventory: Path, group_data: tuple[Path, ...], data: tuple[str, ...], **rest: Any
    ) -> None:
        folders = list(group_data) or [inventory.parent / "group_data"]
        try:
            cluster = load_cluster(inventory, folders, _overrides(data), generate_secrets=False)
            click.echo(command(cluster, **rest))
        except SettingsError as error:
            click.echo(str(error), err=True)
            raise SystemExit(UNUSABLE) from None

    return run


@settings.command()
@click.argument("host")
@click.option("--section", help="Only this section, such as redis.")
@_on_cluster
def show(cluster: Cluster, host: str, section: str | None) -> str:
    """Print the settings of HOST as they are in force, as YAML, secrets masked."""
    document = cluster.host(host).settings.model_dump(mode="json")
    if section is not None:
        if section not in document:
            hint = did_you_mean(section, root().fields)
            raise SettingsError([f"{section}: unknown section{hint}"])
        document = {section: document[section]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip()


@settings.command()
@click.argument("host")
@click.argument("key")
@_on_cluster
def explain(cluster: Cluster, host: str, key: str) -> str:
    """Print the value of KEY on HOST, its meaning, and the files and lines that set it."""
    return explain_setting(cluster.host(host), key).text()


def _overrides(data: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of --data, parsed as pyinfra does: JSON where it is JSON, else text."""
    parsed: dict[str, Any] = {}
    for item in data:
        key, equals, text = item.partition("=")
        if not key or not equals:
            raise SettingsError([f"--data {item}: expected KEY=VALUE"])
        try:
            parsed[key] = json.loads(text)
        except ValueError:
            parsed[key] = text
    return parsed
