"""A failover behind Sentinels: the old master, which still takes writes, is left at once."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from stellwerk.caching.addresses import RedisAddress, Sentinels
from stellwerk.caching.cache import Cache
from stellwerk.endpoint import Endpoint
from tests.unit.caching.opened import until
from tests.unit.caching.redis_server import (
    PATIENCE_SECONDS,
    RedisServer,
    free_port,
    scratch_folder,
)
from tests.unit.caching.shipped import caching

pytestmark = pytest.mark.programs


@dataclass
class Site:
    """A master, its replica, and a Sentinel."""

    master: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    def names(self, server: RedisServer) -> bool:
        """Whether the Sentinel says that this is the master."""
        words = self.sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return str(server.port) in words.splitlines()

    @property
    def address(self) -> RedisAddress:
        """What a program is told."""
        return RedisAddress(Sentinels((Endpoint("127.0.0.1", self.sentinel.port),), "main"))


@pytest.fixture
def site() -> Iterator[Site]:
    """A small site of Sentinel."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server is installed here")
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        master = RedisServer(folder)
        replica = RedisServer(folder, options=("--replicaof", f"127.0.0.1 {master.port}"))
        sentinel = _sentinel(folder, master)
        for server in (master, replica, sentinel):
            server.start()
            stack.callback(server.stop)
        yield Site(master, replica, sentinel)


def _sentinel(folder: Path, master: RedisServer) -> RedisServer:
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 10000\n"
    )
    options = (str(configuration), "--sentinel")
    return RedisServer(folder, free_port(), first_options=options)


async def in_sync(site: Site) -> None:
    """Wait until the Sentinel knows the replica and it has the master's data."""

    def ready() -> bool:
        replicas = site.sentinel.command("SENTINEL", "REPLICAS", "main")
        linked = "master_link_status:up" in site.replica.command("INFO", "replication")
        return str(site.replica.port) in replicas and "slave-repl-offset" in replicas and linked

    await until(ready)


def test_a_planned_failover_loses_no_acknowledged_write(site: Site) -> None:
    async def scenario() -> None:
        await in_sync(site)
        async with asyncio.timeout(3 * PATIENCE_SECONDS), Cache(caching(), site.address) as cache:
            layer = cache.layer("shop.item")
            acknowledged: list[int] = []
            ended = asyncio.Event()

            async def write() -> None:
                number = 0
                while not ended.is_set():
                    number += 1
                    if await layer.set(number, shop=1, id=number):
                        acknowledged.append(number)
                    await asyncio.sleep(0.002)

            writing = asyncio.create_task(write())
            await until(lambda: len(acknowledged) > 100)
            await until(lambda: site.sentinel.command("SENTINEL", "FAILOVER", "main") == "OK")
            await until(lambda: site.names(site.replica))
            written = len(acknowledged)
            # As long as the old master goes on taking writes, whoever still sends them there.
            await until(lambda: len(acknowledged) > 2 * written)
            ended.set()
            await writing
            there = {
                int(key.rpartition(":")[2])
                for key in site.replica.command("KEYS", "item:1:*").splitlines()
            }
            assert [number for number in acknowledged if number not in there] == []

    asyncio.run(scenario())


def test_the_master_is_found_again_after_it_died(site: Site) -> None:
    async def scenario() -> None:
        await in_sync(site)
        async with asyncio.timeout(3 * PATIENCE_SECONDS), Cache(caching(), site.address) as cache:
            layer = cache.layer("shop.item")
            assert await layer.set("before", shop=1, id=1)
            await until(lambda: "item:1:1" in site.replica.command("KEYS", "item:1:1"))
            site.master.kill()
            await until(lambda: not cache.connected)
            await until(lambda: cache.connected)
            assert await layer.peek(shop=1, id=1) == "before"
            assert await layer.set("after", shop=1, id=1)
            assert site.replica.command("ROLE").splitlines()[0] == "master"

    asyncio.run(scenario())
