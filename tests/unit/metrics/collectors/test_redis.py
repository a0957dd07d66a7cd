"""Redis and Sentinel as the monitor sees them: judged by the real programs."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest

from stellwerk.metrics.collectors.redis import (
    READS_MIN,
    RedisCollector,
    SentinelCollector,
    parts,
    replication_lag,
)
from stellwerk.metrics.collectors.redis_connection import RedisAccess, connect, fields
from stellwerk.metrics.declarations import redis as metrics
from stellwerk.metrics.declarations import sentinel as sentinel_metrics
from stellwerk.metrics.reading import State
from tests.unit.instances.programs import (
    Daemon,
    find,
    free_ports,
    in_a_loop,
    is_open,
    short_folder,
    wait_until,
)

from .looks import frozen, look, value, within

PASSWORD = "a-password"
MASTER = "product"
# As a deploy gives them.
USERS = f"""user default on nopass ~* &* +@all
user monitor on >{PASSWORD} +ping +info
user stranger on >{PASSWORD} +ping
"""

pytestmark = pytest.mark.skipif(find("redis-server") is None, reason="Redis is not installed")


@dataclass
class RedisProcess(Daemon):
    """A Redis or a Sentinel."""

    port: int

    def start(self) -> None:
        super().start()
        wait_until(lambda: is_open(self.port), "Redis answers")


@contextmanager
def redis(port: int, *directives: str, sentinel: bool = False) -> Iterator[RedisProcess]:
    """A server with these lines of configuration, for the time of the context."""
    program = find("redis-server")
    assert program is not None
    with short_folder() as folder:
        (folder / "users.acl").write_text(USERS)
        configuration = folder / "redis.conf"
        lines = [f"port {port}", f"dir {folder}", "bind 127.0.0.1", *directives]
        if not sentinel:
            lines += ['save ""', f"aclfile {folder}/users.acl"]
        configuration.write_text("\n".join(lines) + "\n")
        command = [program, str(configuration), *(["--sentinel"] if sentinel else [])]
        process = RedisProcess(command, folder / "log", port)
        try:
            process.start()
            yield process
        finally:
            process.stop()


@dataclass
class Pair:
    """A master with a replica, and a Sentinel that watches them."""

    master: RedisProcess
    replica: RedisProcess
    sentinel: RedisProcess


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One of each, in step with each other."""
    master, replica, sentinel = free_ports(3)
    with ExitStack() as stack:
        found = Pair(
            stack.enter_context(redis(master, "maxmemory 100mb")),
            stack.enter_context(redis(replica, f"replicaof 127.0.0.1 {master}")),
            stack.enter_context(
                redis(
                    sentinel,
                    f"sentinel monitor {MASTER} 127.0.0.1 {master} 1",
                    f"requirepass {PASSWORD}",
                    sentinel=True,
                )
            ),
        )
        yield found


def monitor(port: int, password: str = PASSWORD, user: str = "monitor") -> RedisAccess:
    return RedisAccess(port, user, password)


@asynccontextmanager
async def watching(access: RedisAccess) -> AsyncIterator[RedisCollector]:
    collector = RedisCollector(access)
    try:
        yield collector
    finally:
        collector.close()


async def ask(port: int, *words: str) -> object:
    connection = await connect(RedisAccess(port))
    try:
        return await connection.call(*words)
    finally:
        connection.close()


@pytest.mark.programs
@in_a_loop
async def test_values_are_those_of_info(pair: Pair) -> None:
    async with watching(monitor(pair.master.port)) as collector:
        reading = await look(collector)
    assert reading.state is State.UP, reading.error
    said = fields(str(await ask(pair.master.port, "INFO")))
    assert value(reading, metrics.AVAILABILITY) == 1
    assert value(reading, metrics.MEMORY) == pytest.approx(
        int(said["used_memory"]) / 1024**2, rel=0.2
    )
    assert value(reading, metrics.MEMORY_USE) == pytest.approx(
        100 * int(said["used_memory"]) / (100 * 1024**2), rel=0.2
    )
    assert value(reading, metrics.EVICTIONS) == 0
    assert value(reading, metrics.IS_MASTER) == 1


@pytest.mark.programs
@in_a_loop
async def test_the_hit_rate_is_of_the_time_between_two_looks(pair: Pair) -> None:
    port = pair.master.port
    await ask(port, "SET", "there", "1")
    await ask(port, "GET", "missing")
    async with watching(monitor(port)) as collector:
        assert value(await look(collector), metrics.HIT_RATE) is None
        await ask(port, "MGET", *["there", "there", "there", "missing"] * (READS_MIN // 4))
        assert value(await look(collector), metrics.HIT_RATE) == 75
        await ask(port, "MGET", *["missing"] * (READS_MIN - 1))
        assert value(await look(collector), metrics.HIT_RATE) is None  # too little was read


@pytest.mark.programs
@in_a_loop
async def test_without_a_limit_its_use_is_not_known(pair: Pair) -> None:
    async with watching(monitor(pair.replica.port)) as collector:
        reading = await look(collector)
    assert value(reading, metrics.MEMORY) is not None
    assert value(reading, metrics.MEMORY_USE) is None


@pytest.mark.programs
@in_a_loop
async def test_a_replica_says_whether_it_has_its_master(pair: Pair) -> None:
    async with watching(monitor(pair.replica.port)) as collector:
        reading = await look(collector)
        while value(reading, metrics.REPLICATION_LINK) != 1:
            reading = await look(collector)
    assert value(reading, metrics.IS_MASTER) == 0
    async with watching(monitor(pair.master.port)) as collector:
        reading = await look(collector)
        while value(reading, metrics.REPLICATION_LAG) != 0:
            reading = await look(collector)
    assert value(reading, metrics.REPLICAS) == 1


@pytest.mark.programs
@in_a_loop
async def test_a_sentinel_says_how_its_master_is(pair: Pair) -> None:
    access = RedisAccess(pair.sentinel.port, None, PASSWORD)
    collector = SentinelCollector(access, MASTER)
    reading = await look(collector)
    assert reading.state is State.UP, reading.error
    assert value(reading, sentinel_metrics.MASTER_UP) == 1
    assert value(reading, sentinel_metrics.QUORUM) == 1
    assert value(reading, sentinel_metrics.SENTINELS) == 1
    with frozen(pair.sentinel.process.pid):
        assert (await within(0.2, collector)).state is State.FROZEN
    collector.close()
    other = SentinelCollector(access, "another")
    assert (await look(other)).state is State.MISSING
    other.close()


@pytest.mark.programs
@pytest.mark.parametrize(
    ("user", "password", "said"),
    [("monitor", "wrong", "WRONGPASS"), ("stranger", PASSWORD, "NOPERM")],
)
def test_who_is_not_let_in_is_refused(pair: Pair, user: str, password: str, said: str) -> None:
    @in_a_loop
    async def refused() -> None:
        async with watching(monitor(pair.master.port, password, user)) as collector:
            reading = await look(collector)
        assert reading.state is State.REFUSED
        assert said in (reading.error or "")
        assert reading.samples == ()

    refused()


@pytest.mark.programs
@in_a_loop
async def test_a_frozen_server_costs_a_look_its_time_and_no_more(pair: Pair) -> None:
    async with watching(monitor(pair.replica.port)) as collector:
        assert (await look(collector)).state is State.UP
        with frozen(pair.replica.process.pid):
            for _ in range(2):  # on the connection there was, and on a new one
                reading = await within(0.2, collector)
                assert reading.state is State.FROZEN
                assert value(reading, metrics.AVAILABILITY) == 0
                assert len(reading.samples) == 1
        assert (await look(collector)).state is State.UP


@pytest.mark.programs
@in_a_loop
async def test_a_server_that_comes_back_is_read_again() -> None:
    (port,) = free_ports(1)
    with redis(port) as process:
        async with watching(monitor(port)) as collector:
            assert (await look(collector)).state is State.UP
            process.stop()
            for _ in range(2):
                reading = await look(collector)
                assert reading.state is State.DOWN
                assert value(reading, metrics.AVAILABILITY) == 0
            process.start()
            assert (await look(collector)).state is State.UP


def test_the_lag_is_that_of_the_replica_furthest_behind() -> None:
    info = {
        "master_repl_offset": "1000",
        "slave0": "ip=192.0.2.1,port=6379,state=online,offset=990,lag=0",
        "slave1": "ip=192.0.2.2,port=6379,state=online,offset=400,lag=1",
    }
    assert replication_lag(info) == 600
    assert replication_lag({"master_repl_offset": "1000"}) is None
    assert replication_lag({}) is None


def test_what_is_no_pair_is_left_out() -> None:
    assert parts("name=product,status=ok,,x") == {"name": "product", "status": "ok"}
