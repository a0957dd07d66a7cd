"""A service's instance on a lab's host that writes into the cache, with what it was acknowledged.

It writes many values behind at once, then goes on one by one, half of them behind and half into the
cache alone, until SIGTERM. Its notes are files in its state folder: one line per acknowledged
number. It is copied to the host, and imports what the hosts have.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from stellwerk.caching import Cache
from stellwerk.caching.deployed import deployed
from stellwerk.caching.layer import Layer
from stellwerk.caching.write_behind import Connection, Write, WriteBehind

LAYER = "market_data.historical"
BURST = 5_000
PAUSE_SECONDS = 0.002
ADOPT_SECONDS = 1
APPLY = (
    "INSERT INTO kept (writer, number, times) VALUES (%s, %s, 1)"
    " ON CONFLICT (writer, number) DO UPDATE SET times = kept.times + 1"
)


async def apply(connection: Connection, writes: Sequence[Write]) -> None:
    """Count how often each write was applied."""
    rows = [(write.fields["symbol"], write.value) for write in writes]
    async with connection.cursor() as cursor:
        await cursor.executemany(APPLY, rows)


async def connect() -> psycopg.AsyncConnection[Any]:
    """The database of the services."""
    password = Path(os.environ["CREDENTIALS_DIRECTORY"], "postgresql.password").read_text()
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER"}
    given = {key: os.environ[f"DATABASE_{name}"] for key, name in names.items()}
    return await psycopg.AsyncConnection.connect(
        make_conninfo(**given, password=password), autocommit=True
    )


class Writer:
    """Numbers its writes on from what its notes say."""

    def __init__(self, name: str, layer: Layer[int], behind: WriteBehind) -> None:
        self._name = name
        self._layer = layer
        self._behind = behind
        folder = Path(os.environ["STATE_DIRECTORY"])
        self._kept, self._cached = folder / f"{name}.kept", folder / f"{name}.cached"
        notes = (file.read_text().split() for file in (self._kept, self._cached) if file.exists())
        self._number = 1 + max((int(number) for noted in notes for number in noted), default=0)

    async def burst(self) -> None:
        """Write many at once."""
        await asyncio.gather(*(self._write_behind() for _ in range(BURST)))

    async def steadily(self, end: asyncio.Event) -> None:
        """Write behind and into the cache by turns."""
        while not end.is_set():
            await self._write_behind()
            number = self._next()
            if await self._layer.set(number, **self._fields(number)):
                note(self._cached, number)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _write_behind(self) -> None:
        number = self._next()
        await self._behind.write(self._layer, number, **self._fields(number))
        note(self._kept, number)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _fields(self, number: int) -> dict[str, Any]:
        return {"symbol": self._name, "period": number}


def note(file: Path, number: int) -> None:
    """Have the kernel know before going on: it outlives this process."""
    with file.open("a") as notes:
        notes.write(f"{number}\n")


async def main() -> None:
    """See above."""
    told = deployed()
    settings = told.caching.write_behind.model_copy(
        update={"pending_max": 100_000, "adopt_seconds": ADOPT_SECONDS}
    )
    name = os.environ["INSTANCE"]
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with Cache(told.caching, told.redis) as cache:
        layer: Layer[int] = cache.layer(LAYER, type=int)
        async with WriteBehind(settings, name, connect, {layer: apply}) as behind:
            writer = Writer(name, layer, behind)
            await writer.burst()
            await writer.steadily(end)


if __name__ == "__main__":
    asyncio.run(main())
