"""Of all that miss an entry, one loads it: in a process, across processes, whatever happens."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stellwerk.caching import names
from stellwerk.caching.errors import CacheError
from tests.unit.caching.opened import Node, Source, run, until
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.shipped import caching

pytestmark = pytest.mark.programs

ROOT = Path(__file__).parents[3]
PROCESSES, CALLERS = 4, 100
LEASE_ONE_SECOND = caching(client={"lease_seconds": 1})


@pytest.mark.parametrize("seconds", [0.2, 2.5], ids=["short", "longer than the lease"])
def test_of_100_callers_in_each_of_4_processes_one_computes(
    redis: RedisServer, seconds: float
) -> None:
    program = [sys.executable, "-m", "tests.unit.caching.racing_process"]
    arguments = [str(redis.port), str(CALLERS), str(seconds)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    processes = [
        subprocess.Popen(
            [*program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    results = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        answer, _ = process.communicate(timeout=60)
        results.append(json.loads(answer))
    assert sum(result["loads"] for result in results) == 1
    values = [value for result in results for value in result["values"]]
    assert set(values) == {"value"}
    assert len(values) >= PROCESSES * (CALLERS - 1)


def test_the_others_get_the_value_when_the_first_caller_is_cancelled(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        source = Source("value")
        first = await source.held(layer.get(shop=1, id=2, load=source.load))
        others = [asyncio.create_task(layer.get(shop=1, id=2, load=source.load)) for _ in range(99)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        source.open.set()
        assert set(await asyncio.gather(*others)) == {"value"}
        assert source.loads == 1

    run(redis, scenario)


def test_a_load_that_cancels_itself_fails_and_cancels_no_caller(redis: RedisServer) -> None:
    async def load() -> str:
        raise asyncio.CancelledError

    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        calls = [layer.get(shop=1, id=2, load=load) for _ in range(2)]
        for failure in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(failure, CacheError)

    run(redis, scenario)


def test_callers_of_one_load_cannot_change_each_others_value(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        layer = (await node.cache()).layer("shop.item")
        source = Source({"items": [1]})
        first = await source.held(layer.get(shop=1, id=2, load=source.load))
        other = asyncio.create_task(layer.get(shop=1, id=2, load=source.load))
        await until(lambda: layer.statistics.misses == 2)
        source.open.set()
        (await first)["items"].append(2)
        assert await other == {"items": [1]}

    run(redis, scenario)


def test_waiters_are_woken_and_do_not_poll(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        source = Source("value")
        loading = (await node.cache(caching(client={"lease_seconds": 3600}))).layer("shop.item")
        waiting = (await node.cache(caching(client={"lease_seconds": 3600}))).layer("shop.item")
        first = await source.held(loading.get(shop=1, id=2, load=source.load))
        redis.command("CONFIG", "RESETSTAT")
        waiters = [
            asyncio.create_task(waiting.get(shop=1, id=2, load=source.load)) for _ in range(100)
        ]
        channel = names.wake("item:1:2")
        await until(lambda: "1" in redis.command("PUBSUB", "NUMSUB", channel).split()[1:])
        await asyncio.sleep(0.5)
        asked = redis.command("INFO", "commandstats")
        source.open.set()
        assert set(await asyncio.gather(first, *waiters)) == {"value"}
        assert source.loads == 1
        asks = [line for line in asked.splitlines() if line.startswith("cmdstat_evalsha:")]
        assert int(asks[0].split("calls=")[1].split(",")[0]) <= 2

    run(redis, scenario)


def test_another_loads_when_the_loading_process_dies(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        source = Source("value")
        dying = await node.cache(LEASE_ONE_SECOND)
        layer = (await node.cache(LEASE_ONE_SECOND)).layer("shop.item")
        await source.held(dying.layer("shop.item").get(shop=1, id=2, load=source.load))
        await dying.client.close()
        source.open.set()
        assert await layer.get(shop=1, id=2, load=source.load) == "value"
        assert source.loads == 2

    run(redis, scenario)


def test_another_loads_at_once_when_a_load_fails(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        failing, working = Source(), Source("value")
        failing.failure = OSError("no answer")
        settings = caching(client={"lease_seconds": 3600})
        first = (await node.cache(settings)).layer("shop.item")
        other = (await node.cache(settings)).layer("shop.item")
        failed = await failing.held(first.get(shop=1, id=2, load=failing.load))
        waiting = asyncio.create_task(other.get(shop=1, id=2, load=working.load))
        await until(lambda: other.statistics.misses == 1)
        failing.open.set()
        with pytest.raises(OSError, match="no answer"):
            await failed
        assert await waiting == "value"

    run(redis, scenario)
