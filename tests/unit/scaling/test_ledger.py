"""What the scaler and operators keep in the ledger, and who leads, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stellwerk.instances.connection import open_connection
from stellwerk.instances.model import InstanceKey, Role
from stellwerk.instances.store import Capacity, LedgerAwayError, LedgerRefusedError, Sample
from stellwerk.scaling import ledger
from stellwerk.scaling.ledger import APPLICATION, ScalingLedger
from stellwerk.scaling.model import Change, State
from stellwerk.scaling.records import (
    CPU_OF_A_CORE,
    MEMORY_BYTES,
    ClockStep,
    Judged,
    Memory,
    ScalerSign,
)
from tests.unit.instances.ledger_server import LEDGER, PASSWORD, LedgerServer

pytestmark = pytest.mark.programs

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = InstanceKey("shop", 8101)
JUDGED = Judged(
    service="shop",
    at=NOW,
    before=2,
    after=3,
    sentence="shop goes from 2 to 3.",
    inputs={"votes": []},
    bounds=(2, 8),
    memory=Memory(State(changes=(Change(100.0, 2, 3),)), frozenset({"limit"})),
    counts_before={},
    counts={"app-1": 2, "app-2": 1},
)


@asynccontextmanager
async def opened(server: LedgerServer, host: str = "db-1") -> AsyncIterator[ScalingLedger]:
    connection = await open_connection(
        server.address(LEDGER), PASSWORD, f"{APPLICATION} {host}", lambda _: None
    )
    try:
        yield ScalingLedger(connection)
    finally:
        await connection.close()


def on_ledger(server: LedgerServer, act: Callable[[ScalingLedger], Awaitable[Any]]) -> Any:
    """What comes of it over a connection of its own."""

    async def run() -> Any:
        async with opened(server) as ledger:
            return await act(ledger)

    return asyncio.run(run())


def desired(server: LedgerServer) -> str:
    return server.psql("SELECT host, instances, changed_by FROM stellwerk.desired ORDER BY host")


def test_of_two_that_start_at_once_one_leads_and_the_other_follows_it(
    shop: LedgerServer,
) -> None:
    async def race() -> tuple[list[bool], list[ScalerSign], bool]:
        async with opened(shop, "mon-2") as other:
            async with opened(shop, "mon-1") as one:
                first = [*await asyncio.gather(one.lead(), other.lead())]
                again = [*await asyncio.gather(one.lead(), other.lead())]
                assert first == again, "who leads goes on to lead"
                signs = list(await one.scalers())
                leader = one if first[0] else other
            if leader is one:
                while not await other.lead():
                    await asyncio.sleep(0.01)
            return first, signs, await other.lead()

    first, signs, taken_over = asyncio.run(race())
    assert sorted(first) == [False, True]
    assert [sign.leads for sign in signs] == [True, False]
    assert {sign.host for sign in signs} == {"mon-1", "mon-2"}
    assert taken_over


def test_a_leader_that_is_silent_loses_its_lock_and_cannot_write(
    shop: LedgerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "SILENCE_SECONDS", 0.2)

    async def freeze() -> bool:
        async with opened(shop, "mon-1") as frozen, opened(shop, "mon-2") as other:
            assert await frozen.lead()
            while not await other.lead():
                await asyncio.sleep(0.01)
            with pytest.raises(LedgerAwayError, match="idle-session"):
                await frozen.record(JUDGED)
            return True

    assert asyncio.run(freeze())
    assert desired(shop) == ""


def test_a_judgement_is_written_whole_and_found_again(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        assert await ledger.record(JUDGED)
        return await ledger.findings(3600), await ledger.decisions(9)

    found, (row,) = on_ledger(shop, act)
    assert desired(shop) == "app-1|2|scaler\napp-2|1|scaler\n"
    assert found.memories == {"shop": JUDGED.memory}
    assert found.judged_at == {"shop": NOW}
    assert found.snapshot.judged == {"shop": (2, 8)}
    assert (row.before, row.after, row.sentence) == (2, 3, JUDGED.sentence)
    assert row.inputs == {"votes": []}


def test_numbers_that_somebody_else_has_changed_are_left_alone(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        assert await ledger.record(JUDGED)
        assert not await ledger.record(replace(JUDGED, counts={"app-1": 8}))
        return await ledger.decisions(9)

    assert len(on_ledger(shop, act)) == 1
    assert desired(shop).startswith("app-1|2|")


def test_a_judgement_of_a_service_that_is_gone_is_not_kept(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        same = replace(JUDGED, before=3, counts={})
        await ledger.record_unchanged([replace(same, service="ghost"), same])
        return await ledger.decisions(9)

    assert [row.service for row in on_ledger(shop, act)] == ["shop"]


def test_measurements_come_as_series_and_unknown_ones_are_no_numbers(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        async with shop.connected() as agent:
            await agent.beat(
                "app-1",
                [Role.APPS],
                "1",
                "",
                [Sample(KEY, 50.0, None)],
                capacity=Capacity(4, 1 << 33, 1 << 32),
            )
        await ledger.keep_samples({KEY: {"queue_length": 7.5}})
        pulse = await ledger.pulse()
        return await ledger.findings(3600), pulse

    found, pulse = on_ledger(shop, act)
    of_shop = found.series[KEY]
    now = found.snapshot.at.timestamp()
    newest = of_shop[CPU_OF_A_CORE].newest(now)
    assert newest is not None
    assert newest[1] == 50.0
    assert found.answered_at.keys() == {KEY}
    assert of_shop[MEMORY_BYTES].newest(now) is None
    assert list(of_shop["queue_length"].values) == [7.5]
    assert found.capacities == {"app-1": Capacity(4, 1 << 33, 1 << 32)}
    assert list(pulse.agents) == [("app-1", "apps")]


def test_an_order_replaces_the_one_before_and_is_taken_back(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        before = (await ledger.pulse()).orders
        assert await ledger.order("shop", None, None, "anna") is None
        paused = await ledger.orders()
        until = await ledger.order("shop", 5, timedelta(hours=2), "anna")
        assert (await ledger.pulse()).orders != before
        (order,) = await ledger.orders()
        assert (order.instances, order.until, order.given_by) == (5, until, "anna")
        assert await ledger.take_back("shop", "anna")
        assert not await ledger.take_back("shop", "anna")
        with pytest.raises(LedgerRefusedError, match="ghost is not in the ledger"):
            await ledger.order("ghost", 1, timedelta(hours=2), "anna")
        return paused

    (paused,) = on_ledger(shop, act)
    assert paused.instances is None
    assert paused.until is None
    told = shop.psql("SELECT detail FROM stellwerk.events ORDER BY id").splitlines()
    assert told[0] == "paused by anna"
    assert told[1].startswith("set to 5 until ")
    assert told[2] == "resumed by anna"


def test_an_order_ends_by_itself(shop: LedgerServer) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        await ledger.order("shop", 5, timedelta(0), "anna")
        return await ledger.orders()

    assert on_ledger(shop, act) == []


def test_what_is_old_goes_and_changes_stay_longest(shop: LedgerServer) -> None:
    now = datetime.now(UTC)
    ages = [(0, 0), (0, 2), (1, 2), (1, 91)]

    async def act(ledger: ScalingLedger) -> Any:
        await ledger.keep_samples({KEY: {"queue_length": 1.0}})
        await ledger.order("shop", 5, timedelta(0), "anna")
        for change, days in ages:
            one = replace(JUDGED, at=now - timedelta(days=days), after=2 + change)
            await ledger.record_unchanged([one])
        await ledger.prune(timedelta(hours=1), timedelta(days=85))
        kept = await ledger.decisions(9)
        await ledger.prune(timedelta(0), timedelta(0))
        return kept

    kept = on_ledger(shop, act)
    assert [(row.after - row.before, (now - row.at).days) for row in kept] == [(0, 0), (1, 2)]
    left = "SELECT (SELECT count(*) FROM stellwerk.scaling_samples) + count(*)"
    assert shop.psql(f"{left} FROM stellwerk.scaling_orders") == "0\n"


def test_loads_are_kept_as_means_of_steps_until_they_are_old(shop: LedgerServer) -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    looks = [(0, 100.0), (4, 200.0), (5, 300.0), (14, 0.0), (15, 50.0)]

    async def act(ledger: ScalingLedger) -> Any:
        for minute, load in looks:
            await ledger.keep_loads(hour + timedelta(minutes=minute), {"shop": load, "cart": 1.0})
        await ledger.keep_loads(hour - timedelta(days=2), {"shop": 1.0})
        await ledger.keep_loads(now + timedelta(days=1), {"shop": 1.0})
        await ledger.keep_loads(now, {})
        await ledger.prune(timedelta(hours=1), timedelta(days=1))
        fine = await ledger.loads("shop", timedelta(minutes=5))
        return fine, await ledger.loads("shop", timedelta(minutes=15)), await ledger.loads("x", DAY)

    fine, quarters, unknown = on_ledger(shop, act)
    begin = hour.timestamp()
    assert fine == [(begin, 150), (begin + 300, 300), (begin + 600, 0), (begin + 900, 50)]
    assert quarters == [(begin, 150), (begin + 900, 50)]
    assert unknown == []


def test_a_clock_that_is_set_takes_the_measurements_and_keeps_the_rests(
    shop: LedgerServer,
) -> None:
    async def act(ledger: ScalingLedger) -> Any:
        await ledger.keep_samples({KEY: {"queue_length": 1.0}})
        await ledger.record(JUDGED)
        until = await ledger.order("shop", 5, timedelta(hours=2), "anna")
        step = ClockStep(3600, (await ledger.pulse()).newest_event)
        event = await ledger.clock_was_set(step)
        assert event == (await ledger.pulse()).newest_event
        assert await ledger.clock_was_set(step) is None
        (order,) = await ledger.orders()
        assert order.until == until + timedelta(hours=1)  # type: ignore[operator]
        return await ledger.findings(3600)

    found = on_ledger(shop, act)
    assert found.series == {}
    assert found.memories["shop"].state.changes[0].at == 3700
    assert found.judged_at["shop"] == NOW + timedelta(hours=1)
