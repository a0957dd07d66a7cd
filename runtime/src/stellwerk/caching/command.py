"""The `stellwerk cache` commands. Heavy imports wait until a command runs."""

import json
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

TOKEN_VARIABLE: Final = "STELLWERK_CACHE_TOKEN"  # noqa: S105 - the name of a variable
DEPLOYED_TOKEN: Final = Path("/etc/stellwerk/credentials/caching.token")
_TIMEOUT_SECONDS: Final = 30.0
_HEADING: Final = f"{'hits':>11} {'misses':>11} {'hit rate':>8} {'ms':>7}  memory of its budget"

_url = click.option(
    "--url",
    default="http://127.0.0.1:8005/admin/cache",
    show_default=True,
    help="The cache daemon's admin API.",
)
_token_file = click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"File with the token; by default the variable {TOKEN_VARIABLE} has it, or on an app host"
    " the file of its credential, which root can read.",
)


@click.group()
def cache() -> None:
    """Look at the cache, and invalidate what is in it."""


@cache.command()
@click.option(
    "--configuration",
    type=click.Path(path_type=Path),
    default=Path("/etc/stellwerk/cache.json"),
    show_default=True,
    help="What the deploy says of the cache.",
)
def serve(configuration: Path) -> None:
    """Invalidate by schedule, by hand and by the database's events, until SIGTERM.

    Runs as stellwerk-cache.service. The services use the cache without it.
    """
    import asyncio
    import signal

    from stellwerk.caching.daemon import serve_until
    from stellwerk.caching.daemon_configuration import ConfigurationError, read

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")

    async def run() -> None:
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end.set)
        await serve_until(read(configuration, Path(folder) if folder else None), end)

    try:
        asyncio.run(run())
    except (ConfigurationError, OSError) as error:
        raise click.ClickException(str(error)) from None


@cache.command()
@click.argument("patterns", nargs=-1)
@click.option("--tag", "tags", multiple=True, help="Entries with this tag; may be repeated.")
@click.option("--event", default="", help="What the settings declare for this event.")
@click.option("--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="Of the event.")
@click.option("--reason", default="", help="For the record.")
@_url
@_token_file
def invalidate(
    patterns: tuple[str, ...],
    tags: tuple[str, ...],
    event: str,
    pairs: tuple[str, ...],
    reason: str,
    url: str,
    token_file: Path | None,
) -> None:
    """Make the entries of PATTERNS worthless, such as 'portfolio:42:*'.

    What covers every layer at once needs the token for that.
    """
    asked: dict[str, Any] = {"patterns": list(patterns), "tags": list(tags), "event": event}
    document = {name: value for name, value in asked.items() if value}
    if len(document) != 1:
        raise click.UsageError("Give either patterns, --tag or --event.")
    if event:
        document["parameters"] = dict(map(_pair, pairs))
    answer = _ask(f"{url}/invalidate", token_file, {**document, "reason": reason})
    click.echo(answer["done"])


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_url
@_token_file
def stats(as_json: bool, url: str, token_file: Path | None) -> None:
    """How each layer is used by all processes, and what it takes in Redis beside its budget.

    Counted since Redis was empty; some seconds old.
    """
    layers = _ask(f"{url}/layers", token_file, None)["layers"]
    if as_json:
        click.echo(json.dumps(layers, indent=1))
        return
    width = max(map(len, layers), default=0)
    click.echo(f"{'layer':{width}}  {_HEADING}")
    for name, one in layers.items():
        click.echo(f"{name:{width}}  {_row(one)}".rstrip())


def _row(one: Mapping[str, float]) -> str:
    """What is known of a layer, as columns."""
    from stellwerk.caching.figures import hit_rate_percent, mean_response_ms

    rate, mean = hit_rate_percent(one), mean_response_ms(one)
    columns = (
        f"{one.get('hits', 0):>11,.0f}",
        f"{one.get('misses', 0):>11,.0f}",
        f"{'-' if rate is None else f'{rate:.1f} %':>8}",
        f"{'-' if mean is None else f'{mean:.2f}':>7}",
    )
    return f"{' '.join(columns)}  {_memory(one)}"


def _memory(one: Mapping[str, float]) -> str:
    if "budget" not in one:
        return ""
    share = 100 * one["bytes"] / one["budget"]
    return f"{one['bytes']:,.0f} of {one['budget']:,.0f} B, {share:.1f} %"


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.UsageError(f"--parameter {text}: expected NAME=VALUE.")
    return name, value


def _ask(url: str, token_file: Path | None, document: dict[str, Any] | None) -> dict[str, Any]:
    if not (token := _token(token_file)):
        raise click.UsageError(f"Give --token-file, or set {TOKEN_VARIABLE}.")
    if not url.startswith(("http://", "https://")):
        raise click.UsageError("--url: expected http:// or https://.")
    request = urllib.request.Request(  # noqa: S310 - looked at above
        url,
        data=None if document is None else json.dumps(document).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise click.ClickException(_sentence(error)) from None
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{url} does not answer: {error}") from None


def _token(file: Path | None) -> str:
    """The token that was given, else the host's own; empty where there is none."""
    if file is None and (given := os.environ.get(TOKEN_VARIABLE)):
        return given
    try:
        return (file or DEPLOYED_TOKEN).read_text().strip()
    except OSError:
        return ""


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"The cache daemon answered {error.code} {error.reason}."
