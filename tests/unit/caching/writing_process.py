"""A process with pending writes: `python -m ... PORT DSN FOLDER COUNT first|again`.

At first its database takes nothing: it acknowledges the writes, says so, and waits to be killed.
Started again it lets the database have everything, and ends.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import psycopg

from stellwerk.caching.addresses import RedisAddress
from stellwerk.caching.cache import Cache
from stellwerk.caching.write_behind import Connection, Write, WriteBehind
from stellwerk.endpoint import Endpoint
from stellwerk.settings.caching import WriteBehind as Settings
from tests.unit.caching.shipped import caching


async def apply(connection: Connection, writes: Sequence[Write]) -> None:
    """Count how often each was applied."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO items (id, value, times) VALUES (%s, %s, 1)"
            " ON CONFLICT (id) DO UPDATE SET value = excluded.value, times = items.times + 1",
            [(write.fields["id"], write.value) for write in writes],
        )


async def main(port: int, dsn: str, folder: str, number: int, again: bool) -> None:
    """See above."""

    async def connect() -> psycopg.AsyncConnection[Any]:
        if not again:
            raise OSError("the database is down")
        return await psycopg.AsyncConnection.connect(dsn, autocommit=True)

    async with Cache(caching(), RedisAddress(Endpoint("127.0.0.1", port))) as cache:
        layer = cache.layer("shop.item")
        settings = Settings(directory=folder, pending_max=100_000, batch=700)
        async with WriteBehind(
            settings, "one", connect, {layer: apply}, drain_seconds=60
        ) as behind:
            if again:
                await behind.drained()
                return
            await asyncio.gather(
                *(behind.write(layer, f"value {item}", shop=1, id=item) for item in range(number))
            )
            print(behind.pending, flush=True)
            await asyncio.Event().wait()


_, port, dsn, folder, number, when = sys.argv
asyncio.run(main(int(port), dsn, folder, int(number), when == "again"))
