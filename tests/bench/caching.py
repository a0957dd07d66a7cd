"""The cache beside raw redis-py, cashews, aiocache and dogpile.cache, in one run on one machine.

The server is pinned to one core and the client to another. Rounds of all subjects alternate, and
each figure is the median of the rounds' ratios to raw redis-py in the same round. Peers that are
not installed are left out: `uv sync --group bench` brings them.
"""

import asyncio
import gc
import importlib.util
import json
import os
import random
import signal
import statistics
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis

from stellwerk.caching import Cache, Endpoint, RedisAddress
from stellwerk.settings.caching import Caching, Client
from tests.bench.table import Figure, show
from tests.unit.caching.redis_server import RedisServer, running
from tests.unit.caching.test_budgets import BUDGET, SIZES, budgeted, used

ROUNDS = 11
SEQUENTIAL, CONCURRENT, MANY = 300, 50, 100
KEYS, TAGGED = 100_000, 1_000

Get = Callable[[int], Awaitable[Any]]
GetMany = Callable[[list[int]], Awaitable[Any]]


@dataclass
class Subject:
    """One way to read; the numbers are those of keys."""

    name: str
    get: Get
    get_many: GetMany
    spent: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Seconds of wall clock and of client CPU of each round, by what was done."""


def main() -> None:
    """Measure, and print the figures beside their bars."""
    cores = sorted(os.sched_getaffinity(0))
    with running() as server:
        os.sched_setaffinity(server.pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        try:
            for size, compressed in ((1_000, False), (10_000, True)):
                server.command("FLUSHALL")
                asyncio.run(_reading(server, size, compressed=compressed))
            server.command("FLUSHALL")
            asyncio.run(_own_copies(server))
            asyncio.run(_invalidating(server))
            server.command("FLUSHALL")
            asyncio.run(_budgets(server))
            asyncio.run(_frozen(server))
        finally:
            os.sched_setaffinity(0, set(cores))


def value_of(size: int) -> dict[str, Any]:
    """A plain JSON document of about so many bytes, positions of a portfolio."""
    chance = random.Random(1)
    document: dict[str, Any] = {"portfolio": 42, "currency": "EUR", "positions": []}
    while len(json.dumps(document)) < size:
        document["positions"].append(
            {
                "symbol": "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=4)),
                "shares": chance.randint(1, 5_000),
                "price": round(chance.uniform(1, 900), 2),
                "sector": chance.choice(["technology", "energy", "health care"]),
            }
        )
    return document


def settings(*, compressed: bool = False, local_seconds: int = 0) -> Caching:
    """One layer, as in the shipped settings."""
    cache = {
        "key_pattern": "other:{id}",
        "ttl_seconds": 3600,
        "strategy": "cache-aside",
        "compressed": compressed,
        "layers": {
            "item": {
                "ttl_seconds": 3600,
                "key_pattern": "item:{id}:summary",
                "local_seconds": local_seconds,
            },
            "entity": {"ttl_seconds": 3600, "key_pattern": "entity:{id}:{part}"},
        },
    }
    return Caching.model_validate({"caches": {"bench": cache}})


async def _reading(server: RedisServer, size: int, *, compressed: bool) -> None:
    value = value_of(size)
    async with AsyncExitStack() as stack:
        subjects = [await _raw(server, stack, value), await _decoded(server, stack, value)]
        subjects += await _ours(server, stack, value, compressed=compressed)
        for peer, make in (("cashews", _cashews), ("aiocache", _aiocache), ("dogpile", _dogpile)):
            if importlib.util.find_spec(peer):
                subjects.append(await make(server, stack, value))
        gc.collect()
        for _ in range(ROUNDS):
            for subject in subjects:
                await _round(subject)
    raw, *others = subjects
    for doing in _TITLES:
        bars = _BARS.get((size, doing), {})
        wall = statistics.median(each[0] for each in raw.spent[doing]) * 1e6
        figures = [Figure("raw redis-py", f"{wall:.0f} µs", "-")]
        figures += [
            Figure(
                subject.name,
                f"x{_ratio(raw, subject, doing, 0):.2f} wall, "
                f"x{_ratio(raw, subject, doing, 1):.2f} client CPU",
                bars.get(subject.name.partition(",")[0], "-"),
            )
            for subject in others
        ]
        show(f"{_TITLES[doing]}, {len(json.dumps(value)):,} B of JSON", figures)


_TITLES = {
    "get": "A hit, one after the other",
    "get_many": f"get_many({MANY})",
    "concurrent": f"A hit, {CONCURRENT} at once",
}
_BARS = {
    (1_000, "get"): {"Stellwerk": "x1.25 client CPU"},
    (10_000, "get"): {"Stellwerk": "x1.40 client CPU"},
    (1_000, "get_many"): {"Stellwerk": "x2.50 wall"},
    (1_000, "concurrent"): {"Stellwerk": "x0.25 wall"},
}


def _ratio(raw: Subject, subject: Subject, doing: str, which: int) -> float:
    pairs = zip(raw.spent[doing], subject.spent[doing], strict=True)
    return statistics.median(own[which] / base[which] for base, own in pairs)


async def _round(subject: Subject) -> None:
    async def one_by_one() -> None:
        for number in range(SEQUENTIAL):
            await subject.get(number % MANY)

    async def many() -> None:
        for _ in range(10):
            await subject.get_many(list(range(MANY)))

    async def at_once() -> None:
        async def reader(first: int) -> None:
            for number in range(20):
                await subject.get((first + number) % MANY)

        await asyncio.gather(*(reader(number) for number in range(CONCURRENT)))

    for doing, act, times in (
        ("get", one_by_one, SEQUENTIAL),
        ("get_many", many, 10),
        ("concurrent", at_once, CONCURRENT * 20),
    ):
        wall, cpu = perf_counter(), process_time()
        await act()
        spent = ((perf_counter() - wall) / times, (process_time() - cpu) / times)
        subject.spent.setdefault(doing, []).append(spent)


async def _raw(server: RedisServer, stack: AsyncExitStack, value: Any) -> Subject:
    pool = BlockingConnectionPool(host="127.0.0.1", port=server.port, max_connections=50)
    client = Redis(connection_pool=pool)
    stack.push_async_callback(client.aclose)
    data = json.dumps(value).encode()
    for number in range(MANY):
        await client.set(f"raw:{number}", data)

    async def get_many(numbers: list[int]) -> Any:
        return await client.mget([f"raw:{number}" for number in numbers])

    return Subject("raw", lambda number: client.get(f"raw:{number}"), get_many)


async def _decoded(server: RedisServer, stack: AsyncExitStack, value: Any) -> Subject:
    """Raw redis-py and the codec: what no cache that returns the same values takes less than."""
    pool = BlockingConnectionPool(host="127.0.0.1", port=server.port, max_connections=50)
    client: Any = Redis(connection_pool=pool)
    stack.push_async_callback(client.aclose)
    for number in range(MANY):
        await client.set(f"decoded:{number}", msgspec.msgpack.encode(value))
    decode = msgspec.msgpack.Decoder().decode

    async def get(number: int) -> Any:
        return decode(await client.get(f"decoded:{number}"))

    async def get_many(numbers: list[int]) -> Any:
        return [decode(each) for each in await client.mget([f"decoded:{n}" for n in numbers])]

    return Subject("raw redis-py and decoded", get, get_many)


async def _ours(
    server: RedisServer, stack: AsyncExitStack, value: Any, *, compressed: bool
) -> list[Subject]:
    address = RedisAddress(Endpoint("127.0.0.1", server.port))
    cache = await stack.enter_async_context(Cache(settings(compressed=compressed), address))
    item, entity = cache.layer("bench.item"), cache.layer("bench.entity")
    for number in range(MANY):
        await item.set(value, id=number)
        await entity.set(value, id=number, part="a")

    async def get_item(number: int) -> Any:
        return await item.get(id=number, load=_unreachable)

    async def get_entity(number: int) -> Any:
        return await entity.get(id=number, part="a", load=_unreachable)

    async def many_items(numbers: list[int]) -> Any:
        return await item.get_many([{"id": number} for number in numbers], None)

    async def many_entities(numbers: list[int]) -> Any:
        return await entity.get_many([{"id": number, "part": "a"} for number in numbers], None)

    return [
        Subject("Stellwerk, one stamp", get_item, many_items),
        Subject("Stellwerk, two stamps", get_entity, many_entities),
    ]


async def _unreachable() -> Any:
    raise AssertionError("every read of this measurement is a hit")


async def _cashews(server: RedisServer, stack: AsyncExitStack, value: Any) -> Subject:
    from cashews import Cache as Cashews

    cache = Cashews()
    cache.setup(f"redis://127.0.0.1:{server.port}", client_side=False, max_connections=50)
    stack.push_async_callback(cache.close)
    for number in range(MANY):
        await cache.set(f"cashews:{number}", value)

    async def get_many(numbers: list[int]) -> Any:
        return await cache.get_many(*(f"cashews:{number}" for number in numbers))

    return Subject("cashews", lambda number: cache.get(f"cashews:{number}"), get_many)


async def _aiocache(server: RedisServer, stack: AsyncExitStack, value: Any) -> Subject:
    from aiocache import RedisCache
    from aiocache.serializers import JsonSerializer

    cache = RedisCache(
        endpoint="127.0.0.1", port=server.port, serializer=JsonSerializer(), pool_max_size=50
    )
    stack.push_async_callback(cache.close)
    for number in range(MANY):
        await cache.set(f"aiocache:{number}", value)

    async def get_many(numbers: list[int]) -> Any:
        return await cache.multi_get([f"aiocache:{number}" for number in numbers])

    return Subject("aiocache", lambda number: cache.get(f"aiocache:{number}"), get_many)


async def _dogpile(server: RedisServer, stack: AsyncExitStack, value: Any) -> Subject:
    from dogpile.cache import make_region

    del stack
    region = make_region(serializer=_to_json, deserializer=json.loads)
    region.configure("dogpile.cache.redis", arguments={"host": "127.0.0.1", "port": server.port})
    for number in range(MANY):
        region.set(f"dogpile:{number}", value)

    async def get(number: int) -> Any:
        return region.get(f"dogpile:{number}")

    async def get_many(numbers: list[int]) -> Any:
        get_multi: Any = region.get_multi
        return get_multi([f"dogpile:{number}" for number in numbers])

    return Subject("dogpile (blocks)", get, get_many)


def _to_json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def _own_copies(server: RedisServer) -> None:
    address = RedisAddress(Endpoint("127.0.0.1", server.port))
    async with Cache(settings(local_seconds=600), address) as cache:
        layer = cache.layer("bench.item")
        figures = []
        for name, value in (("text, shared", "x" * 1000), ("a document, copied", value_of(1_000))):
            await layer.set(value, id=1)
            before = layer.statistics.local_hits
            while layer.statistics.local_hits == before:
                await layer.get(id=1, load=_unreachable)
                await asyncio.sleep(0)
            rounds = []
            for _ in range(ROUNDS):
                started = process_time()
                for _ in range(1_000):
                    await layer.get(id=1, load=_unreachable)
                rounds.append((process_time() - started) * 1e3)
            figures.append(Figure(name, f"{statistics.median(rounds):.1f} µs", "5 µs"))
        show("A hit of the process' own copy, 1,000 B, client CPU", figures)


async def _invalidating(server: RedisServer) -> None:
    address = RedisAddress(Endpoint("127.0.0.1", server.port))
    patient = settings().model_copy(update={"client": Client(operation_timeout_ms=10_000)})
    async with Cache(patient, address) as cache:
        layer = cache.layer("bench.entity")
        for first in range(0, KEYS - TAGGED, 1_000):
            await asyncio.gather(
                *(layer.set("x" * 100, id=n, part="a") for n in range(first, first + 1_000))
            )
        raw = Redis(host="127.0.0.1", port=server.port)
        ways: dict[str, tuple[str, Callable[[str], Awaitable[Any]]]] = {
            "raw redis-py, one INCR": ("-", raw.incr),
            "logical": ("0.5 ms", lambda name: cache.invalidate(f"entity:{name}:*")),
            "physical": ("3 ms", lambda name: cache.invalidate_tags(name)),
        }
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, (_, act) in ways.items():
                tags = ["one"] if way == "physical" else []
                await asyncio.gather(
                    *(layer.set("y" * 100, tags=tags, id="one", part=n) for n in range(TAGGED))
                )
                # Not the first command after so many sets, which also pays for what they left.
                await act("none")
                started = perf_counter()
                await act("one")
                spent[way].append(1_000 * (perf_counter() - started))
        await raw.aclose()
        figures = [
            Figure(way, f"{statistics.median(spent[way]):.2f} ms", bar)
            for way, (bar, _) in ways.items()
        ]
        show(f"Invalidating {TAGGED:,} of {KEYS:,} keys", figures)


async def _budgets(server: RedisServer) -> None:
    address = RedisAddress(Endpoint("127.0.0.1", server.port))
    chance = random.Random(1)
    async with Cache(budgeted(), address) as cache:
        for number in range(2_500):
            for name, (low, high) in SIZES.items():
                value = chance.randbytes(chance.randint(low, high))
                await cache.layer(f"shop.{name}").set(value, id=number)
        figures = [
            Figure(f"{low:,} to {high:,} B", f"{used(server, name) / BUDGET:.1%}", "105 % at most")
            for name, (low, high) in SIZES.items()
        ]
        show("What a layer that is full takes of its budget, by MEMORY USAGE", figures)


async def _frozen(server: RedisServer) -> None:
    address = RedisAddress(Endpoint("127.0.0.1", server.port))

    async def load() -> str:
        return "loaded"

    async with Cache(settings(), address) as cache:
        layer = cache.layer("bench.item")
        os.kill(server.pid, signal.SIGSTOP)
        spent, own = [], []
        for number in range(1_001):
            started, started_cpu = perf_counter(), process_time()
            await layer.get(id=number, load=load)
            spent.append(perf_counter() - started)
            own.append(process_time() - started_cpu)
        os.kill(server.pid, signal.SIGCONT)
        first, *later = spent
        show(
            "A frozen Redis adds to a call",
            [
                Figure("once", f"{first:.3f} s", "0.3 s"),
                Figure("then, at most", f"{1_000 * max(later):.3f} ms", "1 ms"),
                Figure("then, at most, of client CPU", f"{1_000 * max(own[1:]):.3f} ms", "1 ms"),
                Figure("then, median", f"{1_000 * statistics.median(later):.3f} ms", "1 ms"),
            ],
        )


if __name__ == "__main__":
    main()
