"""Loading entries before they are asked for: some at a time, and for a bounded time."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from stellwerk.caching.layer import Layer
from stellwerk.settings.caching import Warming

_SHOWN_FAILURES: Final = 3

_logger = logging.getLogger(__name__)

Fields = Mapping[str, object]


@dataclass
class Warmed:
    """What became of a warming: entries that are there now, loads that failed, and what was not
    begun or not finished in time.
    """

    there: int = 0
    failed: int = 0
    left: int = 0


async def warm(settings: Warming, wanted: Iterable[tuple[Layer[Any], Fields]]) -> Warmed:
    """Have the layers' own loaders load what is not there, `workers` at a time.

    Ends after `timeout_seconds` whatever is left. A load that fails costs only itself; an
    invalidation meanwhile is respected as for every load.
    """
    entries = list(wanted)
    warmed = Warmed(left=len(entries))
    rest = iter(entries)
    try:
        async with asyncio.timeout(settings.timeout_seconds), asyncio.TaskGroup() as group:
            for _ in range(settings.workers):
                group.create_task(_work(rest, warmed))
    except TimeoutError:
        _logger.warning("Warming ended after its time; %d entries are left.", warmed.left)
    return warmed


async def rows(
    connection: psycopg.AsyncConnection[Any], statement: str, *parameters: object
) -> list[Fields]:
    """The rows of a statement as fields: its columns are named like those of the layer's keys."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), parameters)
        return list(await cursor.fetchall())


async def _work(rest: Iterator[tuple[Layer[Any], Fields]], warmed: Warmed) -> None:
    for layer, fields in rest:
        try:
            await layer.get_by(fields)
        except Exception as error:  # whatever the loader raises
            warmed.failed += 1
            if warmed.failed <= _SHOWN_FAILURES:
                _logger.warning("An entry of %s could not be warmed: %s", layer.name, error)
        else:
            warmed.there += 1
        warmed.left -= 1
