"""The sample's answers in the layers of the cache, on a real Redis behind a Sentinel."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stellwerk.caching.addresses import Sentinels
from stellwerk.endpoint import Endpoint
from stellwerk.sample.answer import Answer, Source
from stellwerk.sample.availability import Reach, UnavailableError
from stellwerk.sample.configuration import CacheAddress, ConfigurationError
from stellwerk.sample.layered import LayeredCache, read_layers
from stellwerk.sample.query import (
    COLLECTIONS,
    AssetQuery,
    Collection,
    PortfolioQuery,
    Query,
    Question,
    TradeQuery,
)
from stellwerk.settings.caching import Caching
from tests.unit.caching.shipped import shipped
from tests.unit.caching.test_sentinel import Site, site

__all__ = ["site"]

pytestmark = pytest.mark.programs

PORTFOLIOS, ASSETS, TRADES = COLLECTIONS
QUESTIONS: tuple[tuple[Collection, Query], ...] = (
    (PORTFOLIOS, PortfolioQuery(1)),
    (PORTFOLIOS, PortfolioQuery(2)),
    (PORTFOLIOS, PortfolioQuery(1, 2)),
    (PORTFOLIOS, PortfolioQuery()),
    (ASSETS, AssetQuery("AAPL")),
    (ASSETS, AssetQuery()),
    (TRADES, TradeQuery(1)),
    (TRADES, TradeQuery(1, 5)),
)


def address(at: Site) -> CacheAddress:
    assert isinstance(at.address.at, Sentinels)
    (one,) = at.address.at.endpoints
    return CacheAddress((Endpoint(one.host, one.port),), at.address.at.master)


class Instance:
    """An instance's cache, and the answers it has loaded."""

    def __init__(self, at: Site, settings: Caching | None = None, service: str = "core") -> None:
        self.cache = LayeredCache(settings or shipped(), address(at), service)
        self.service = service
        self.loads: list[Query] = []
        self.failure: Exception | None = None

    async def ask(self, collection: Collection, query: Query) -> Answer:
        """The answer to a query."""

        async def load() -> bytes:
            self.loads.append(query)
            await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
            return repr(query).encode()

        return await self.cache.through(Question(self.service, collection, query), load)


def run(scenario: Callable[..., Awaitable[None]], *instances: Instance) -> None:
    async def staged() -> None:
        async with asyncio.timeout(60):
            for one in instances:
                await one.cache.probe()
            await scenario(*instances)
            for one in instances:
                await one.cache.close()

    asyncio.run(staged())


def test_an_answer_is_loaded_once_for_all_instances_of_a_service(site: Site) -> None:
    async def scenario(one: Instance, other: Instance, broker: Instance) -> None:
        for collection, query in QUESTIONS:
            asked = [one.ask(collection, query) for _ in range(20)]
            asked += [other.ask(collection, query) for _ in range(20)]
            answers = await asyncio.gather(*asked)
            assert {answer.body for answer in answers} == {repr(query).encode()}
            assert [answer.source for answer in answers].count(Source.STORE) == 1
            assert (await broker.ask(collection, query)).source is Source.STORE
        assert len(one.loads + other.loads) == len(QUESTIONS)
        assert one.cache.availability.reach is Reach.REACHABLE

    run(scenario, Instance(site), Instance(site), Instance(site, service="broker"))


def test_without_redis_every_answer_is_loaded_and_the_failure_of_a_load_is_its_own(
    site: Site,
) -> None:
    site.master.stop()
    site.sentinel.stop()

    async def scenario(instance: Instance) -> None:
        assert instance.cache.availability.reach is Reach.AWAY
        for _ in range(2):
            assert (await instance.ask(*QUESTIONS[0])).source is Source.STORE
        instance.failure = UnavailableError("PostgreSQL is away.")
        with pytest.raises(UnavailableError, match="PostgreSQL is away"):
            await instance.ask(*QUESTIONS[0])

    run(scenario, Instance(site))


def test_what_the_settings_have_no_layer_for_is_not_kept(site: Site) -> None:
    async def scenario(instance: Instance) -> None:
        for _ in range(2):
            for question in QUESTIONS:
                assert (await instance.ask(*question)).source is Source.STORE

    run(scenario, Instance(site, Caching()))


def test_the_layers_are_those_that_a_deploy_has_written(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    settings = {"caches": shipped().model_dump(mode="json")["caches"]}
    path.write_text(json.dumps({"caching": settings, "redis": {}}))
    assert read_layers(path).caches == shipped().caches
    for wrong in ("{", "{}", '{"caching": {"cache": 1}}'):
        path.write_text(wrong)
        with pytest.raises(ConfigurationError, match="run the deploy again"):
            read_layers(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_layers(tmp_path / "none")
