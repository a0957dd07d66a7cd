"""What agents and operators write into the ledger, on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from stellwerk.instances.model import (
    Instance,
    InstanceKey,
    Purpose,
    Role,
    Rollout,
    RolloutState,
    Seen,
    Sighting,
    Snapshot,
    State,
)
from stellwerk.instances.store import Ledger, LedgerBusyError, LedgerRefusedError, Sample
from tests.unit.instances.ledger_server import (
    AGENT,
    INSTANCE,
    KEY,
    LEDGER,
    NEW,
    NOW,
    OLD,
    LedgerServer,
    claim,
)

pytestmark = pytest.mark.programs


async def roll_out(ledger: Ledger, generation: str = OLD) -> int:
    return await ledger.start_rollout(
        "shop",
        generation,
        restart=False,
        started_by="a test",
        max_unavailable=2,
        canary_seconds=3,
        canary_error_percent=4.5,
    )


def test_of_many_that_claim_a_port_exactly_one_gets_it(shop: LedgerServer) -> None:
    async def claim_once(host: str) -> bool:
        async with shop.connected() as ledger, ledger.locked("shop") as changes:
            return await changes.claim(replace(INSTANCE, host=host))

    async def race() -> list[bool]:
        return await asyncio.gather(*(claim_once(f"app-{number}") for number in range(8)))

    assert sorted(asyncio.run(race())) == [False] * 7 + [True]


def test_an_instance_of_a_service_that_is_not_declared_cannot_be_claimed(
    shop: LedgerServer,
) -> None:
    async def attempt() -> bool:
        async with shop.connected() as ledger, ledger.locked("ghost") as changes:
            assert changes.snapshot.services == {}
            return await changes.claim(replace(INSTANCE, key=InstanceKey("ghost", 1)))

    assert asyncio.run(attempt()) is False


def test_who_locks_a_service_sees_what_the_one_before_did(shop: LedgerServer) -> None:
    async def count(times: int) -> None:
        async with shop.connected() as ledger:
            for _ in range(times):
                async with ledger.locked("shop") as changes:
                    one = changes.snapshot.instances[KEY]
                    await changes.put(replace(one, restarts=one.restarts + 1))

    async def all_count() -> int:
        async with shop.connected() as ledger:
            await claim(ledger, KEY.port)
            await asyncio.gather(*(count(10) for _ in range(4)))
            return (await ledger.snapshot()).instances[KEY].restarts

    assert asyncio.run(all_count()) == 40


class PlannedError(Exception):
    """What goes wrong in a test."""


def test_an_exception_takes_everything_back_and_the_ledger_goes_on(shop: LedgerServer) -> None:
    async def fail() -> Snapshot:
        async with shop.connected() as ledger:
            with pytest.raises(PlannedError):
                await claim_and_fail(ledger)
            return await ledger.snapshot()

    async def claim_and_fail(ledger: Ledger) -> None:
        async with ledger.locked("shop") as changes:
            await changes.claim(INSTANCE)
            raise PlannedError

    assert asyncio.run(fail()).instances == {}


def test_who_is_cancelled_within_a_lock_leaves_it_to_others(shop: LedgerServer) -> None:
    async def cancelled() -> Snapshot:
        entered = asyncio.Event()

        async def hold(ledger: Ledger) -> None:
            async with ledger.locked("shop") as changes:
                await changes.claim(INSTANCE)
                entered.set()
                await asyncio.Event().wait()

        async with shop.connected() as one, shop.connected() as other:
            holding = asyncio.create_task(hold(one))
            await entered.wait()
            holding.cancel()
            async with other.locked("shop") as changes:
                return changes.snapshot

    assert asyncio.run(cancelled()).instances == {}


def test_a_statement_that_failed_cannot_be_swallowed(shop: LedgerServer) -> None:
    async def swallow() -> Snapshot:
        async with shop.connected() as ledger:
            with pytest.raises(LedgerRefusedError, match="nothing was written"):
                await claim_and_go_on(ledger)
            return await ledger.snapshot()

    async def claim_and_go_on(ledger: Ledger) -> None:
        async with ledger.locked("shop") as changes:
            await changes.claim(INSTANCE)
            with pytest.raises(LedgerRefusedError, match="check constraint"):
                await changes.claim(replace(INSTANCE, key=InstanceKey("shop", 0)))

    assert asyncio.run(swallow()).instances == {}


def test_a_lock_that_takes_too_long_is_given_up_and_the_connection_is_kept(
    shop: LedgerServer,
) -> None:
    async def wait() -> None:
        async with shop.connected() as one, shop.connected() as other:
            async with one.locked("shop"):
                with pytest.raises(LedgerBusyError, match="lock timeout"):
                    async with other.locked("shop"):
                        pass
            async with other.locked("shop"):
                pass

    shop.psql(f"ALTER ROLE {AGENT} SET lock_timeout = '50ms'")
    try:
        asyncio.run(wait())
    finally:
        shop.psql(f"ALTER ROLE {AGENT} RESET lock_timeout")


def test_since_moves_with_the_state_and_an_operators_hold_is_kept(shop: LedgerServer) -> None:
    async def live() -> tuple[Instance, ...]:
        seen = []
        async with shop.connected() as agent, shop.connected(LEDGER) as operator:
            await claim(agent, KEY.port)
            for step in (
                {"reason": "warms up"},
                {"state": State.READY},
                {"state": State.DRAINING, "purpose": Purpose.ROLL},
            ):
                async with agent.locked("shop") as changes:
                    await changes.put(replace(changes.snapshot.instances[KEY], **step))
                await operator.hold(KEY, True)
                seen.append((await agent.snapshot()).instances[KEY])
            async with agent.locked("shop") as changes:
                await changes.put(INSTANCE)
                await changes.put(replace(INSTANCE, key=InstanceKey("shop", 9)))  # has no row
            return (*seen, *(await agent.snapshot()).instances.values())

    starting, ready, draining, again = asyncio.run(live())
    assert starting.reason == "warms up"
    assert starting.since < ready.since < draining.since < again.since
    assert draining.purpose is Purpose.ROLL
    assert starting.held
    assert again.held, "though the agent knew nothing of it"


def test_text_that_postgresql_cannot_hold_is_made_readable(shop: LedgerServer) -> None:
    async def write() -> str:
        async with shop.connected() as ledger:
            await claim(ledger, KEY.port)
            async with ledger.locked("shop") as changes:
                await changes.put(replace(INSTANCE, reason="a\x00b\udc80c"))
            return (await ledger.snapshot()).instances[KEY].reason

    assert asyncio.run(write()) == "a\ufffdb?c"


def test_events_name_who_they_are_about_and_come_newest_last(shop: LedgerServer) -> None:
    async def record() -> list[tuple[str, str, int | None, str, str]]:
        async with shop.connected() as agent, shop.connected(LEDGER) as operator:
            async with agent.locked("shop") as changes:
                await changes.claim(INSTANCE)
                await changes.record("starting", KEY, "claimed")
                await changes.record("rollout", None, "begins")
            await operator.hold(KEY, True)
            await operator.hold(KEY, True)
            await operator.set_desired("shop", "app-1", 3, "the scaler")
            await operator.set_desired("shop", "app-1", 3, "the scaler")
            assert await agent.events(9, "another") == []
            assert [one.kind for one in await agent.events(2)] == ["held", "desired"]
            found = await agent.events(9, "shop")
            return [(one.kind, one.service, one.port, one.host, one.detail) for one in found]

    assert asyncio.run(record()) == [
        ("starting", "shop", 8101, "app-1", "claimed"),
        ("rollout", "shop", None, "", "begins"),
        ("held", "shop", 8101, "app-1", ""),
        ("desired", "shop", None, "app-1", "3 wanted by the scaler"),
    ]


def test_what_makes_no_sense_is_refused_in_one_sentence(shop: LedgerServer) -> None:
    async def ask() -> None:
        async with shop.connected(LEDGER) as ledger:
            with pytest.raises(LedgerRefusedError, match="shop@8101 is not in the ledger"):
                await ledger.hold(KEY, True)
            with pytest.raises(LedgerRefusedError, match="ghost is not in the ledger"):
                await ledger.set_desired("ghost", "app-1", 1, "a test")
            with pytest.raises(LedgerRefusedError, match="check constraint"):
                await ledger.set_desired("shop", "app-1", -1, "a test")
            with pytest.raises(LedgerRefusedError, match=f"shop: no host has a generation {NEW}"):
                await roll_out(ledger, NEW)
            assert (await ledger.snapshot()).rollouts == {}

    asyncio.run(ask())


# Roll-outs.


def test_a_newer_roll_out_replaces_the_one_that_runs_and_the_one_that_failed(
    shop: LedgerServer,
) -> None:
    async def declare() -> tuple[Snapshot, list[int]]:
        async with shop.connected() as agent, shop.connected(LEDGER) as operator:
            numbers = [await roll_out(operator)]
            async with agent.locked("shop") as changes:
                await changes.finish_rollout(numbers[0], RolloutState.FAILED, reason="was slow")
            numbers += [await roll_out(operator), await roll_out(operator)]
            return await agent.snapshot(), numbers

    snapshot, numbers = asyncio.run(declare())
    (current,) = snapshot.rollouts.values()
    assert numbers == sorted(set(numbers))
    assert snapshot.services["shop"].rollout == current.id == numbers[-1]
    assert current.state is RolloutState.RUNNING
    assert (current.max_unavailable, current.canary_seconds, current.canary_error_percent) == (
        *(2, 3, 4.5),
    )
    rows = shop.psql(
        "SELECT state, reason, finished_at IS NULL FROM stellwerk.rollouts ORDER BY id"
    )
    assert rows.split("\n")[:3] == ["replaced|was slow|f", "replaced||f", "running||t"]


def test_a_roll_out_remembers_what_was_proven_before_it(shop: LedgerServer) -> None:
    async def declare() -> Rollout:
        async with shop.connected() as agent, shop.connected(LEDGER) as operator:
            first = await roll_out(operator)
            async with agent.locked("shop") as changes:
                await changes.set_stable("shop", OLD)
                await changes.finish_rollout(first, RolloutState.DONE)
            second = await roll_out(operator)
            return (await agent.snapshot()).rollouts[second]

    assert asyncio.run(declare()).previous == OLD


def test_only_a_running_roll_out_moves_and_only_in_its_progress(shop: LedgerServer) -> None:
    async def move() -> Rollout:
        async with shop.connected() as agent, shop.connected(LEDGER) as operator:
            number = await roll_out(operator)
            async with agent.locked("shop") as changes:
                await changes.update_rollout(number, canary=8101, canary_since=NOW, reason="waits")
                with pytest.raises(ValueError, match="generation"):
                    await changes.update_rollout(number, generation=NEW)
                await changes.finish_rollout(
                    number,
                    RolloutState.FAILED,
                    reason="no answer",
                    failed_instance=str(KEY),
                    journal="a line\x00",
                )
                await changes.update_rollout(number, canary_passed=True)
                await changes.finish_rollout(number, RolloutState.DONE)
            return (await agent.snapshot()).rollouts[number]

    ended = asyncio.run(move())
    assert (ended.canary, ended.canary_since, ended.canary_passed) == (8101, NOW, False)
    assert ended.state is RolloutState.FAILED
    assert (ended.reason, ended.failed_instance, ended.journal) == (
        *("no answer", "shop@8101", "a line\ufffd"),
    )
    assert ended.finished_at is not None


def test_generations_are_listed_oldest_first(shop: LedgerServer) -> None:
    async def listed() -> list[tuple[str, str]]:
        async with shop.connected() as ledger:
            assert await ledger.generations("another") == []
            return [(one.generation, one.release) for one in await ledger.generations("shop")]

    shop.psql(
        "INSERT INTO stellwerk.generations VALUES"
        f" ('shop', '{NEW}', '0.9', now() - interval '1 hour')"
    )
    assert asyncio.run(listed()) == [(NEW, "0.9"), (OLD, "1.0")]


# What agents report.


def test_sightings_of_an_instance_that_is_gone_are_ignored(shop: LedgerServer) -> None:
    async def see() -> tuple[Sighting, ...]:
        async with shop.connected() as ledger:
            await claim(ledger, 8101, 8102)
            seen = [Sighting(InstanceKey("shop", port), "lb-1", Seen.UP) for port in (8102, 8101)]
            await ledger.report([*seen, Sighting(InstanceKey("shop", 1), "lb-1", Seen.UP)], "lb-1")
            async with ledger.locked("shop") as changes:
                await changes.remove(KEY)
            await ledger.report(seen, "lb-1")
            await ledger.report([replace(seen[0], seen=Seen.OUT, requests=7)], "lb-1")
            await ledger.report([], "lb-1")
            return (await ledger.snapshot()).sightings

    (left,) = asyncio.run(see())
    assert left == Sighting(InstanceKey("shop", 8102), "lb-1", Seen.OUT, requests=7)


def test_a_sighting_of_an_instance_that_is_just_removed_is_ignored(shop: LedgerServer) -> None:
    async def see() -> tuple[Sighting, ...]:
        async with shop.connected() as agent, shop.connected() as balancer:
            await claim(agent, KEY.port)
            async with agent.locked("shop") as changes:
                await changes.remove(KEY)
                report = asyncio.create_task(
                    balancer.report([Sighting(KEY, "lb-1", Seen.UP)], "lb-1")
                )
                while await waiting(shop) == 0:
                    await asyncio.sleep(0)
            await report
            return (await agent.snapshot()).sightings

    assert asyncio.run(see()) == ()


async def waiting(server: LedgerServer) -> int:
    """How many connections wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return int(await asyncio.to_thread(server.psql, query))


def test_a_beat_is_seen_and_brings_samples(shop: LedgerServer) -> None:
    async def beat() -> tuple[Snapshot, dict[InstanceKey, Sample]]:
        async with shop.connected() as ledger:
            await claim(ledger, KEY.port)
            await ledger.beat("app-1", ("apps", "balancers"), "1.0", "fine")
            await ledger.beat("app-1", [Role.APPS], "1.1", "busy", [Sample(KEY, 12.5, 1 << 40)])
            await ledger.beat("app-1", [Role.APPS], "1.1", "busy", [Sample(KEY, None, None)])
            return await ledger.snapshot(), dict(await ledger.latest_samples())

    snapshot, samples = asyncio.run(beat())
    assert [(one.role, one.release, one.status) for one in snapshot.agents] == [
        (Role.APPS, "1.1", "busy"),
        (Role.BALANCERS, "1.0", "fine"),
    ]
    assert replace(samples[KEY], at=None) == Sample(KEY, None, None)
    assert snapshot.at - (samples[KEY].at or NOW) < timedelta(minutes=1)


def test_old_samples_and_very_old_events_are_pruned_by_a_beat(shop: LedgerServer) -> None:
    async def beat() -> None:
        async with shop.connected() as ledger:
            await ledger.beat(
                "app-1", ["apps"], "1.0", "", [Sample(KEY, 2, 2)], sample_retention=60
            )

    shop.psql(
        "INSERT INTO stellwerk.samples VALUES ('shop', 8101, now() - interval '61 s', 1, 1);"
        "INSERT INTO stellwerk.events (at, kind) VALUES"
        " (now() - interval '91 days', 'old'), (now() - interval '89 days', 'kept')"
    )
    asyncio.run(beat())
    assert shop.psql("SELECT cpu_percent FROM stellwerk.samples") == "2\n"
    assert shop.psql("SELECT kind FROM stellwerk.events") == "kept\n"
