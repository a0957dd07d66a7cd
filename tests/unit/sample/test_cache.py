"""Finding the Redis master through Sentinels, against small servers that speak their protocol."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploys.engine.certificate_store import complete
from deploys.engine.certificates import Subject
from stellwerk.endpoint import Endpoint
from stellwerk.sample.availability import Reach
from stellwerk.sample.cache import RedisCache
from stellwerk.sample.configuration import CacheAddress, Password

Answer = Callable[[list[bytes]], bytes]


@asynccontextmanager
async def listening(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """A server on loopback that answers each command of the Redis protocol with `answer`."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while header := await reader.readline():
                words = []
                for _ in range(int(header[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                writer.write(answer(words))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])


class FakeRedis:
    """A Redis with strings only. As a replica it refuses writes."""

    def __init__(self, *, replica: bool = False) -> None:
        self.replica = replica
        self.values: dict[bytes, bytes] = {}
        self.logins: list[list[bytes]] = []

    def __call__(self, words: list[bytes]) -> bytes:
        match words:
            case [b"AUTH", *who]:
                self.logins.append(who)
                return b"+OK\r\n"
            case [b"GET", key]:
                value = self.values.get(key)
                return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
            case [b"SET", *_] if self.replica:
                return b"-READONLY You can't write against a read only replica.\r\n"
            case [b"SET", key, value, *_]:
                self.values[key] = value
                return b"+OK\r\n"
            case _:
                return b"-ERR unknown command\r\n"


class FakeSentinel:
    """A Sentinel that names one master, which can be changed."""

    def __init__(self, master: Endpoint | None) -> None:
        self.master = master

    def __call__(self, words: list[bytes]) -> bytes:
        if words[:2] != [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME"]:
            return b"-ERR unknown command\r\n"
        if self.master is None:
            return b"*-1\r\n"
        host, port = self.master.host.encode(), str(self.master.port).encode()
        return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(host), host, len(port), port)


class Site:
    """Servers of one test, closed when it ends."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def start(self, answer: Answer, tls: ssl.SSLContext | None = None) -> Endpoint:
        return await self._stack.enter_async_context(listening(answer, tls))

    async def cache(
        self, *sentinels: Answer, tls: ssl.SSLContext | None = None, tls_ca: Path | None = None
    ) -> RedisCache:
        endpoints = [await self.start(sentinel, tls) for sentinel in sentinels]
        address = CacheAddress(
            tuple(endpoints), "main", "service", Password("secret"), tls_ca=tls_ca
        )
        cache = RedisCache(address, "api:core:probe:8101")
        self._stack.push_async_callback(cache.close)
        return cache


def run(scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def staged() -> None:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            await scenario(Site(stack))

    asyncio.run(staged())


def test_values_are_kept_in_the_master_that_the_sentinels_name() -> None:
    async def scenario(site: Site) -> None:
        redis = FakeRedis()
        cache = await site.cache(FakeSentinel(await site.start(redis)))
        await cache.probe()
        assert cache.availability.reach is Reach.REACHABLE
        await cache.put("key", b"value", 60)
        assert await cache.get("key") == b"value"
        assert await cache.get("other") is None
        assert redis.logins[0] == [b"service", b"secret"]

    run(scenario)


def test_most_sentinels_decide_who_is_master() -> None:
    async def scenario(site: Site) -> None:
        old, new = FakeRedis(), FakeRedis()
        old_address, new_address = await site.start(old), await site.start(new)
        cache = await site.cache(
            FakeSentinel(old_address), FakeSentinel(new_address), FakeSentinel(new_address)
        )
        await cache.probe()
        await cache.put("key", b"value", 60)
        assert b"key" in new.values
        assert b"key" not in old.values

    run(scenario)


def test_a_failover_is_followed() -> None:
    async def scenario(site: Site) -> None:
        old, new = FakeRedis(), FakeRedis(replica=True)
        sentinel = FakeSentinel(await site.start(old))
        cache = await site.cache(sentinel)
        await cache.probe()
        old.replica, new.replica = True, False
        sentinel.master = await site.start(new)
        await cache.probe()
        await cache.put("key", b"value", 60)
        assert new.values[b"key"] == b"value"

    run(scenario)


def test_a_master_that_became_a_replica_is_given_up_at_the_first_write() -> None:
    async def scenario(site: Site) -> None:
        redis = FakeRedis()
        cache = await site.cache(FakeSentinel(await site.start(redis)))
        await cache.probe()
        redis.replica = True
        await cache.put("key", b"value", 60)
        assert cache.availability.reach is Reach.AWAY

    run(scenario)


def test_a_replica_is_not_taken_for_the_master() -> None:
    async def scenario(site: Site) -> None:
        replica, master = await site.start(FakeRedis(replica=True)), await site.start(FakeRedis())
        cache = await site.cache(FakeSentinel(replica), FakeSentinel(replica), FakeSentinel(master))
        await cache.probe()
        assert cache.availability.reach is Reach.REACHABLE
        await cache.put("key", b"value", 60)
        assert await cache.get("key") == b"value"

    run(scenario)


def test_sentinels_that_are_away_do_not_take_a_working_master_away() -> None:
    async def scenario(site: Site) -> None:
        sentinel = FakeSentinel(await site.start(FakeRedis()))
        cache = await site.cache(sentinel)
        await cache.probe()
        sentinel.master = None
        await cache.probe()
        assert cache.availability.reach is Reach.REACHABLE

    run(scenario)


@pytest.mark.parametrize("named", [None, Endpoint("127.0.0.1", 1)])
def test_without_a_master_there_is_no_value_and_no_error(named: Endpoint | None) -> None:
    async def scenario(site: Site) -> None:
        cache = await site.cache(FakeSentinel(named))
        await cache.probe()
        assert cache.availability.reach is Reach.AWAY
        await cache.put("key", b"value", 60)
        assert await cache.get("key") is None

    run(scenario)


def served_by(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS on loopback, and the authority that a client has to trust for it."""
    folder.mkdir()
    made = complete(folder, [(Subject(name, "198.18.0.31"), 365)], datetime.now(UTC))[name]
    authority, pair = folder / "ca.pem", folder / "pair.pem"
    authority.write_text(made.authority)
    pair.write_text(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context, authority


def test_with_an_authority_sentinels_and_master_are_reached_by_tls(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        tls, authority = served_by("cache-1", tmp_path / "cluster")
        master = await site.start(FakeRedis(), tls)
        cache = await site.cache(FakeSentinel(master), tls=tls, tls_ca=authority)
        await cache.probe()
        assert cache.availability.reach is Reach.REACHABLE

    run(scenario)


def test_with_an_authority_neither_plain_text_nor_another_authority_is_taken(
    tmp_path: Path,
) -> None:
    async def scenario(site: Site) -> None:
        tls, authority = served_by("cache-1", tmp_path / "cluster")
        stranger, _ = served_by("cache-1", tmp_path / "stranger")
        for served in (None, stranger):
            redis = FakeRedis()
            master = await site.start(redis, served)
            cache = await site.cache(FakeSentinel(master), tls=tls, tls_ca=authority)
            await cache.probe()
            assert cache.availability.reach is not Reach.REACHABLE
            assert redis.logins == []

    run(scenario)
