"""When the cache daemon warms, and what: at its start, regularly, at set times, before log-ins.

What there is to load, and how, are statements of the settings. A layer without a loader is left
out, and so is what the database cannot say now: warming is a help and never a need.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, cast

import psycopg

from stellwerk.caching.cache import Cache
from stellwerk.caching.errors import CacheError
from stellwerk.caching.foresight import expected, next_time
from stellwerk.caching.layer import Layer
from stellwerk.caching.statements import Statements
from stellwerk.caching.warming import Fields, Warmed, warm
from stellwerk.settings.caching import NamedEntries, Warming, WarmingSchedule

_LONGEST_SLEEP_SECONDS: Final = 60.0
"""The clock may be set: it is looked again after this."""

_logger = logging.getLogger(__name__)

Entry = tuple[str, Fields]
"""The name of a layer, and fields among which those of its keys are."""


class Rounds:
    """Warms what the settings say."""

    def __init__(
        self,
        settings: Warming,
        cache: Cache,
        statements: Statements,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._statements = statements
        self._clock = clock
        self._layers = dict(self._loaded_layers(cache))
        self._covered = cache.layers_of

    async def run(self) -> None:
        """Warm at the start, and then whenever it is time, for ever."""
        await _tried(self.at_start())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self._settings.periodic.interval_seconds, self.regularly))
            if self._settings.predictive.before_log_in:
                minutes = self._settings.predictive.log_in_minutes
                group.create_task(self._every(60 * minutes, self.before_log_ins))
            for name, schedule in self._settings.predictive.schedules.items():
                group.create_task(self._at_times(name, schedule))

    async def at_start(self) -> Warmed:
        """Load what was used lately, and the symbols."""
        return await self._warm("at the start", [*self._symbols(), *await self._recent()])

    async def regularly(self) -> Warmed:
        """Load what is to stay warm."""
        return await self._warm("regularly", await self._kept_warm())

    async def scheduled(self, name: str, schedule: WarmingSchedule) -> Warmed:
        """Load all known entries of the layers that a schedule names."""
        layers = set(self._covered(*schedule.patterns))
        known = [*self._symbols(), *await self._recent(), *await self._kept_warm()]
        wanted = [entry for entry in known if entry[0] in layers]
        return await self._warm(f"by the schedule {name}", wanted)

    async def before_log_ins(self) -> Warmed:
        """Load the entries of the users who are expected to log in."""
        predictive = self._settings.predictive
        if predictive.log_ins is None:
            return Warmed()
        times: dict[str, list[datetime]] = {}
        users: dict[str, object] = {}
        for row in await self._rows(predictive.log_ins.statement, {}):
            users[str(row["user_id"])] = row["user_id"]
            times.setdefault(str(row["user_id"]), []).append(cast(datetime, row["at"]))
        coming = expected(
            times,
            self._clock(),
            zone=predictive.timezone,
            within=timedelta(minutes=predictive.log_in_minutes),
            confidence=predictive.confidence,
        )
        return await self._warm(
            "before log-ins",
            (
                (layer, dict.fromkeys(self._fields_of(layer), users[user]))
                for user in coming
                for layer in predictive.log_ins.layers
            ),
        )

    def _loaded_layers(self, cache: Cache) -> Iterable[tuple[str, Layer[Any]]]:
        """The layers that the settings have a loader for; the others are said and left out."""
        for name, statement in self._settings.loaders.items():
            try:
                yield name, cache.layer(name, load=partial(self._load, statement))
            except CacheError as error:
                _logger.error("The layer %s cannot be warmed: %s", name, error)

    async def _load(self, statement: str, **fields: object) -> Any:
        return await self._statements.value(statement, fields)

    def _symbols(self) -> list[Entry]:
        start = self._settings.at_start
        return [(layer, {"symbol": symbol}) for layer in start.symbol_layers
                for symbol in start.symbols]  # fmt: skip

    async def _recent(self) -> list[Entry]:
        start = self._settings.at_start
        return await self._named(start.recent, {"days": start.recent_days})

    async def _kept_warm(self) -> list[Entry]:
        periodic = self._settings.periodic
        found = [await self._named(periodic.entries.get(name), {}) for name in periodic.portfolios]
        return [entry for entries in found for entry in entries]

    async def _named(
        self, entries: NamedEntries | None, parameters: Mapping[str, object]
    ) -> list[Entry]:
        if entries is None:
            return []
        rows = await self._rows(entries.statement, parameters)
        return [(layer, row) for row in rows for layer in entries.layers]

    async def _rows(self, statement: str, parameters: Mapping[str, object]) -> list[Fields]:
        try:
            return list(await self._statements.rows(statement, parameters))
        except (psycopg.Error, OSError) as error:
            _logger.warning("What to warm is not known: %s", " ".join(str(error).split()))
            return []

    def _fields_of(self, layer: str) -> tuple[str, ...]:
        found = self._layers.get(layer)
        return () if found is None else tuple(found.declaration.pattern.fields)

    async def _warm(self, when: str, entries: Iterable[Entry]) -> Warmed:
        wanted = [
            (self._layers[name], {field: fields[field] for field in needed})
            for name, fields in entries
            if name in self._layers and (needed := self._fields_of(name)) and {*needed} <= {*fields}
        ]
        warmed = await warm(self._settings, wanted)
        if wanted:
            _logger.info(
                "Warmed %s: %d entries are there, %d could not be loaded, %d are left.",
                when, warmed.there, warmed.failed, warmed.left,
            )  # fmt: skip
        return warmed

    async def _every(self, seconds: float, warming: Callable[[], Awaitable[Warmed]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await _tried(warming())

    async def _at_times(self, name: str, schedule: WarmingSchedule) -> None:
        while (due := next_time(schedule, self._clock())) is not None:
            while (left := (due - self._clock()).total_seconds()) > 0:
                await asyncio.sleep(min(left, _LONGEST_SLEEP_SECONDS))
            await _tried(self.scheduled(name, schedule))


async def _tried(warming: Awaitable[Warmed]) -> None:
    """Warm; whatever the statements of the settings yield, the daemon goes on."""
    try:
        await warming
    except Exception:
        _logger.exception("Nothing was warmed; it is tried again next time.")
