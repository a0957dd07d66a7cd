"""What the cache daemon warms and when, with a database that is only played."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest

from stellwerk.caching.cache import Cache
from stellwerk.caching.rounds import Rounds
from stellwerk.caching.statements import Statements
from stellwerk.caching.warming import Warmed
from stellwerk.settings.caching import Caching
from tests.unit.caching.opened import Node, run
from tests.unit.caching.redis_server import RedisServer
from tests.unit.caching.shipped import shipped

pytestmark = pytest.mark.programs

NOW = datetime(2026, 3, 4, 8, 15, tzinfo=UTC)  # a Wednesday
RECENT, FAVOURITE, LOG_INS = "portfolios read lately", "favourites", "log-ins"
SUMMARY, PRICE, PREFERENCES = (
    "portfolio.summary",
    "market_data.real_time_prices",
    "session.preferences",
)
WARMING: dict[str, Any] = {
    "loaders": {SUMMARY: "a summary", PRICE: "a price", PREFERENCES: "preferences"},
    "at_start": {
        "symbols": ["AAPL", "TSLA"],
        "symbol_layers": [PRICE],
        "recent": {"statement": RECENT, "layers": [SUMMARY, "portfolio.details"]},
    },
    "periodic": {"entries": {"favourite": {"statement": FAVOURITE, "layers": [SUMMARY]}}},
    "predictive": {
        "log_ins": {"statement": LOG_INS, "layers": [PREFERENCES]},
        "schedules": {"opening": {"days": ["wed"], "at": "08:30", "patterns": ["market:*:price"]}},
    },
}


class Database:
    """Answers statements by their text."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Mapping[str, Any]]] = {}
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.is_away = False

    async def rows(
        self, statement: str, parameters: Mapping[str, object]
    ) -> list[Mapping[str, Any]]:
        """The rows of a statement."""
        self.asked.append((statement, dict(parameters)))
        if self.is_away:
            raise psycopg.OperationalError("no answer")
        return self.answers.get(statement, [])

    async def value(self, statement: str, parameters: Mapping[str, object]) -> Any:
        """A value that says what it was loaded by."""
        (field,) = parameters.values()
        return f"{statement} {field}"


def settings(**changed: Any) -> Caching:
    return Caching.model_validate(shipped().model_dump() | {"warming": {**WARMING, **changed}})


def made(cache: Cache, database: Database, **changed: Any) -> Rounds:
    played = cast(Statements, database)
    return Rounds(settings(**changed).warming, cache, played, clock=lambda: NOW)


def test_at_the_start_symbols_and_what_was_read_lately_are_loaded(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, database = await node.cache(settings()), Database()
        database.answers = {RECENT: [{"id": 7, "name": "a column too many"}, {"id": 8}]}
        assert await made(cache, database).at_start() == Warmed(there=4)
        assert (RECENT, {"days": 7}) in database.asked
        assert await cache.layer(SUMMARY).peek(id=7) == "a summary 7"
        assert await cache.layer(PRICE).peek(symbol="TSLA") == "a price TSLA"

    run(redis, scenario)


def test_regularly_what_the_settings_name_is_loaded(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, database = await node.cache(settings()), Database()
        database.answers = {FAVOURITE: [{"id": 1}]}
        assert await made(cache, database).regularly() == Warmed(there=1)

    run(redis, scenario)


def test_a_schedule_loads_what_is_known_of_the_layers_it_names(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, database = await node.cache(settings()), Database()
        database.answers = {RECENT: [{"id": 7}]}
        rounds = made(cache, database)
        opening = settings().warming.predictive.schedules["opening"]
        assert await rounds.scheduled("opening", opening) == Warmed(there=2)
        both = opening.model_copy(update={"patterns": ["market:*:price", "portfolio:*:summary"]})
        assert await rounds.scheduled("opening", both) == Warmed(there=3)

    run(redis, scenario)


def test_users_who_usually_log_in_now_find_their_keys(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, database = await node.cache(settings()), Database()
        habit = [NOW + timedelta(minutes=5) - timedelta(weeks=week) for week in range(1, 9)]
        database.answers = {
            LOG_INS: [
                *({"user_id": 3, "at": at} for at in habit),
                *({"user_id": 4, "at": at - timedelta(days=1)} for at in habit),
            ]
        }
        assert await made(cache, database).before_log_ins() == Warmed(there=1)
        assert await cache.layer(PREFERENCES).peek(id=3) == "preferences 3"
        assert await cache.layer(PREFERENCES).peek(id=4) is None

    run(redis, scenario)


def test_what_nobody_can_say_or_load_is_left_out(redis: RedisServer) -> None:
    async def scenario(node: Node) -> None:
        cache, database = await node.cache(settings()), Database()
        database.is_away = True
        rounds = made(cache, database, loaders={PRICE: "a price", "unknown.layer": "x"})
        assert await rounds.at_start() == Warmed(there=2)
        assert await rounds.before_log_ins() == Warmed()

    run(redis, scenario)
