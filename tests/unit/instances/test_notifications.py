"""Who listens is told of every change, and of nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from stellwerk.instances import listener
from stellwerk.instances.model import Seen, Sighting
from stellwerk.instances.store import Ledger, Sample
from tests.unit.instances.ledger_server import INSTANCE, KEY, LEDGER, OLD, LedgerServer, claim

pytestmark = pytest.mark.programs


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told too much is told at once, so that it is seen."""
    monkeypatch.setattr(listener, "_BURST_SECONDS", 0)


async def quiet(told: "asyncio.Task[None]", *ledgers: Ledger) -> bool:
    """Whether nothing was told while the connections answered many times."""
    for _ in range(30):
        for ledger in ledgers:
            await ledger.snapshot()
    return not told.done()


@asynccontextmanager
async def listening(server: LedgerServer) -> AsyncIterator[AsyncIterator[None]]:
    async with server.connected() as ledger:
        changes = ledger.changes()
        yield changes


async def next_of(changes: AsyncIterator[None]) -> None:
    await anext(changes)


def test_others_are_told_once_per_burst(shop: LedgerServer) -> None:
    async def listen() -> None:
        async with shop.connected() as writer, listening(shop) as changes:
            async with writer.locked("shop") as transaction:
                await transaction.claim(INSTANCE)
                await transaction.set_stable("shop", OLD)
            await next_of(changes)
            again = asyncio.create_task(next_of(changes))
            assert await quiet(again, writer)
            await writer.report([Sighting(KEY, "lb-1", Seen.UP)], "lb-1")
            await again

    asyncio.run(listen())


def test_what_changes_nothing_is_not_told(shop: LedgerServer) -> None:
    async def listen() -> None:
        sighting = Sighting(KEY, "lb-1", Seen.UP)
        async with shop.connected() as writer, shop.connected(LEDGER) as operator:
            await claim(writer, KEY.port)
            await writer.report([sighting], "lb-1")
            await operator.set_desired("shop", "app-1", 1, "a test")
            async with listening(shop) as changes:
                told = asyncio.create_task(next_of(changes))
                async with writer.locked("shop") as transaction:
                    await transaction.put(INSTANCE)
                    await transaction.set_stable("ghost", OLD)
                await writer.report([sighting], "lb-1")
                await writer.report([replace(sighting, requests=9)], "lb-1")
                await writer.beat("app-1", ["apps"], "1.0", "", [Sample(KEY, 1, 1)])
                await operator.set_desired("shop", "app-1", 1, "another test")
                assert await quiet(told, writer)
                await operator.set_desired("shop", "app-1", 2, "a test")
                await told

    asyncio.run(listen())
