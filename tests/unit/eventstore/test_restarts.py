"""A server that crashes and comes back in the middle of appends loses nothing it acknowledged."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from stellwerk.eventstore.errors import ConflictError
from stellwerk.eventstore.events import EventStore, NewEvent

from .store_server import Site, connect_async

pytestmark = pytest.mark.programs

BEFORE, AFTER = 30, 30  # acknowledged appends of all writers
WRITERS = 4


class Writer:
    """Appends one event after the other, as a service does: an unknown end is looked up."""

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self.name = name
        self.acknowledged = 0

    async def write(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            try:
                async with await connect_async(self._site) as connection:
                    await self._append(EventStore(connection), is_over)
            except psycopg.OperationalError:
                await asyncio.sleep(0.02)  # away: connect again

    async def _append(self, store: EventStore, is_over: Callable[[], bool]) -> None:
        while not is_over():
            events = [NewEvent("counted", self.acknowledged + 1)]
            try:
                await store.append(self.name, self.acknowledged, events)
            except ConflictError:
                # The one before was committed, and its answer was lost.
                assert len(await store.read(self.name)) == self.acknowledged + 1
            self.acknowledged += 1


def test_no_acknowledged_event_is_lost_by_a_crash(site: Site) -> None:
    writers = [Writer(site, f"writer-{number}") for number in range(WRITERS)]

    def acknowledged() -> int:
        return sum(writer.acknowledged for writer in writers)

    def crash() -> None:
        arguments = ("-D", str(site.server.data), "-l", str(site.server.data / "log"), "-w")
        done = site.server.binaries.run("pg_ctl", *arguments, "-m", "immediate", "restart")
        assert done.returncode == 0, done.stderr

    async def run() -> None:
        enough: list[int] = []
        writing = [
            asyncio.ensure_future(one.write(lambda: bool(enough) and acknowledged() >= enough[0]))
            for one in writers
        ]
        while acknowledged() < BEFORE:
            await asyncio.sleep(0)
        await asyncio.to_thread(crash)
        enough.append(acknowledged() + AFTER)
        await asyncio.gather(*writing)
        async with await connect_async(site) as connection:
            store = EventStore(connection)
            for writer in writers:
                events = await store.read(writer.name)
                assert [one.payload for one in events] == list(range(1, writer.acknowledged + 1))
                assert [one.version for one in events] == [one.payload for one in events]

    asyncio.run(asyncio.wait_for(run(), timeout=60))
