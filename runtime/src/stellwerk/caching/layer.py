"""A layer as a program uses it: get, get_many, set, invalidate."""

import asyncio
import logging
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from stellwerk.caching.batch import Batch
from stellwerk.caching.copying import is_immutable
from stellwerk.caching.envelope import WRITE_ID_BYTES, Entry, Sealer
from stellwerk.caching.errors import CacheError, DeclarationError, RedisAwayError
from stellwerk.caching.flights import Flights, Landed, Load, Tower
from stellwerk.caching.invalidating import Invalidator
from stellwerk.caching.layers import Declaration
from stellwerk.caching.local import MISSING, LocalCopies
from stellwerk.caching.merging import PART
from stellwerk.caching.planning import layer_plan, placing
from stellwerk.caching.reading import DUE, NOTHING, STALE, Reader
from stellwerk.caching.statistics import Histogram, Statistics
from stellwerk.caching.storage import Granted, Place, Plan, Put, Storage, Stored
from stellwerk.caching.usage import Usage

T = TypeVar("T")
Loader = Callable[..., Awaitable[T]]

_JOINS_MAX: Final = 3
"""Flights that a caller joins; one whose values were invalidated so often loads for itself."""
_PAUSES_MAX: Final = 10_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writing:
    """A value sealed for its place. The lifetime is in milliseconds."""

    at: Place
    envelope: bytes
    lifetime: int
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class _Many:
    """Entries that are read together: where they are, and their values, MISSING until there are."""

    places: list[Place] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    """The numbers of those that this process did not have itself."""
    asked: list[Place] = field(default_factory=list)
    """Their places."""
    moments: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """When each of them was asked for, as an own copy of it has to know."""


@dataclass(frozen=True)
class Services:
    """What all layers of a cache share."""

    storage: Storage
    tower: Tower
    invalidator: Invalidator
    usage: Usage
    retry_pause: float
    local_allowed: Callable[[], bool]
    clock: Callable[[], float]


class Layer(Generic[T]):
    """The entries of one layer. All methods are safe for any number of callers at once."""

    def __init__(
        self,
        declaration: Declaration,
        sealer: Sealer,
        services: Services,
        response_time_buckets_ms: Sequence[float],
        load: Loader[T] | None = None,
    ) -> None:
        self.declaration = declaration
        self.statistics = Statistics(Histogram(tuple(response_time_buckets_ms)))
        self.pending: dict[str, bytes] = {}
        """Envelopes of writes that the database does not have yet, by key: what readers get."""
        self._place = placing(declaration)
        self._sealer = sealer
        self._reader = Reader(
            declaration.lifetime, sealer, services.storage, services.usage, self.statistics
        )
        self._services = services
        self._load = load
        self._flights = Flights()
        self._paused_until: dict[str, float] = {}
        self._local = (
            LocalCopies(
                services.invalidator.validity,
                sealer.codec,
                seconds=declaration.local_seconds,
                entries=declaration.local_entries,
                clock=services.clock,
            )
            if declaration.local_seconds
            else None
        )

    @property
    def name(self) -> str:
        """As in the settings, such as "portfolio.summary"."""
        return self.declaration.name

    async def get(
        self,
        /,
        *,
        load: Callable[[], Awaitable[T]] | None = None,
        tags: Iterable[str] = (),
        **fields: object,
    ) -> T:
        """The value of the entry; one that is not there is loaded, by one caller for all.

        `load` takes no arguments; without it the layer's own is given the fields. What it raises
        is raised here, unless an older value may stand in. `tags` name what the value stands for.
        Raises KeyFieldError for missing or unknown fields.
        """
        return await self.get_by(fields, load, tags)

    async def get_by(
        self,
        fields: Mapping[str, object],
        load: Callable[[], Awaitable[T]] | None = None,
        tags: Iterable[str] = (),
    ) -> T:
        """The same for fields that are given as a mapping, whatever their names."""
        at = self._place(fields)
        value = self._held(at.key)
        if value is MISSING:
            value = await self._get(at, load or self._loading(fields), tags)
        found: T = value
        return found

    async def peek(self, /, default: Any = None, **fields: object) -> T | Any:
        """The value as it is, without loading; `default` where there is no fresh one."""
        at = self._place(fields)
        if at.key in self.pending:
            return self._pending(at.key)
        try:
            read = await self._reader.read(at)
        except RedisAwayError:
            self.statistics.unavailable += 1
            return default
        return read.entry.value if read.entry and read.freshness is not STALE else default

    async def get_many(
        self,
        each: Iterable[Mapping[str, object]],
        load: Callable[[list[Mapping[str, object]]], Awaitable[Sequence[T]]] | None = None,
    ) -> list[T]:
        """The values of several entries in their order, asked of Redis at once.

        `load` is given the fields of those that are not there, and returns their values in that
        order; entries that others are loading are waited for. Without it the layer's own loads
        each.
        """
        wanted = list(each)
        many = _Many()
        await self._fill_from_redis(wanted, many)
        values = many.values
        if absent := [index for index in many.absent if values[index] is MISSING]:
            batch = Batch(load, [wanted[index] for index in absent]) if load else None
            loaded = await asyncio.gather(
                *(
                    self._get(
                        many.places[index],
                        batch.loading(number) if batch else self._loading(wanted[index]),
                    )
                    for number, index in enumerate(absent)
                )
            )
            for index, value in zip(absent, loaded, strict=True):
                values[index] = value
        return values

    async def set(self, value: T, /, *, tags: Iterable[str] = (), **fields: object) -> bool:
        """Write the entry; loads under way are not stored. False: Redis did not take it.

        Where Redis is away the older entry is invalidated as soon as it is back.
        """
        return await self.set_sealed(self.sealed(value, fields, tuple(tags)))

    def sealed(self, value: T, fields: Mapping[str, object], tags: tuple[str, ...] = ()) -> Writing:
        """A value in the form in which it is kept, also outside of Redis."""
        at, lifetime = self._place(fields), self._lifetime(value)
        return Writing(at, self._seal(at, value, lifetime, tags), lifetime, tags)

    def opened(self, key: str, envelope: bytes) -> Entry:
        """What was sealed for this key. Raises UnreadableError."""
        return self._sealer.open(key, envelope)

    async def set_sealed(self, writing: Writing) -> bool:
        """The same as set."""
        at, invalidator = writing.at, self._services.invalidator
        event = invalidator.event((at.key,)) if self._local is not None else b""
        invalidator.void_here((at.key,))
        try:
            put = await self._services.storage.write(
                at, writing.tags, writing.envelope, self._kept(writing.lifetime), event
            )
        except RedisAwayError:
            # A Redis that is full takes no value, but still deletes the older one.
            await invalidator.invalidate(Plan(places=(at,)))
            return False
        finally:
            invalidator.void_here((at.key,))
        self._count(put)
        invalidator.wrote(at, writing.envelope[:WRITE_ID_BYTES])
        return put.stored

    async def confirm(self, envelope: bytes, fields: Mapping[str, object]) -> None:
        """The source has this writing now. Loads that began before are not stored, and another
        value that is there makes way.
        """
        at, invalidator = self._place(fields), self._services.invalidator
        try:
            kept = await self._services.storage.confirm(
                at, envelope[:WRITE_ID_BYTES], invalidator.event((at.key,))
            )
        except RedisAwayError:
            await invalidator.invalidate(Plan(places=(at,)))
            kept = False
        if not kept:
            invalidator.void_here((at.key,))

    async def write_through(
        self,
        value: T,
        save: Callable[[], Awaitable[object]],
        /,
        *,
        tags: Iterable[str] = (),
        **fields: object,
    ) -> None:
        """Save to the source, then the cache. Readers meanwhile wait for it.

        Where two writers meet, or an invalidation comes between, nobody's value is kept: the next
        reader asks the source. What `save` raises is raised here, with the entry gone.
        """
        at, tag_names = self._place(fields), tuple(tags)
        grant = await self._take(at, tag_names)
        try:
            if grant is None:
                await save()
            else:
                async with self._services.tower.holding(at, grant):
                    await save()
        except BaseException:
            await self._services.invalidator.invalidate(Plan(places=(at,)))
            raise
        invalidator, write_id = self._services.invalidator, os.urandom(WRITE_ID_BYTES)
        put = await self._store(at, tag_names, grant, value, write_id=write_id) if grant else None
        if put is None or not put.stored:
            await invalidator.invalidate(Plan(places=(at,)))
            return
        invalidator.wrote(at, write_id)
        if self._local is not None:
            await invalidator.invalidate(Plan(drops=(at.key,)))

    async def write_aside(self, save: Callable[[], Awaitable[object]], /, **fields: object) -> None:
        """Save to the source and invalidate the entry: the next reader loads it."""
        try:
            await save()
        finally:
            await self.invalidate(**fields)

    async def invalidate(self, /, **fields: object) -> bool:
        """Make the entry worthless, and every load of it under way.

        False: Redis is away; it is done before Redis is used again.
        """
        self.statistics.deletes += 1
        return await self._services.invalidator.invalidate(Plan(places=(self._place(fields),)))

    async def invalidate_all(self) -> bool:
        """The same for all entries of the layer, at the cost of one."""
        self.statistics.deletes += 1
        return await self._services.invalidator.invalidate(layer_plan(self.declaration))

    async def memory_used(self) -> int | None:
        """Bytes that the layer takes in Redis; None without a budget. Raises RedisAwayError."""
        if self.declaration.budget is None:
            return None
        return await self._services.storage.memory(self.name)

    async def close(self) -> None:
        """Cancel the loads under way."""
        await self._flights.close()

    def _held(self, key: str) -> Any:
        """What this process itself has: a pending write, or a copy; MISSING where it has none."""
        if self.pending and key in self.pending:
            return self._pending(key)
        if self._local is None or not self._services.local_allowed():
            return MISSING
        value = self._local.get(key)
        if value is not MISSING:
            self.statistics.hits += 1
            self.statistics.local_hits += 1
        return value

    def _pending(self, key: str) -> T:
        self.statistics.hits += 1
        value: T = self.opened(key, self.pending[key]).value
        return value

    def _loading(self, fields: Mapping[str, object]) -> Callable[[], Awaitable[T]]:
        own = self._load
        if own is None:
            raise DeclarationError(
                f"The layer {self.name} has nothing to load from: give get a load=, or the layer"
                " one when asking for it."
            )
        return lambda: own(**fields)

    async def _get(
        self, at: Place, load: Callable[[], Awaitable[T]], tags: Iterable[str] = ()
    ) -> T:
        started, tags = perf_counter(), tuple(tags)
        stale: Entry | None = None
        counted = False
        for _ in range(_JOINS_MAX):
            moment = self._moment(at, tags)
            try:
                read = await self._reader.read(at)
            except RedisAwayError:
                self.statistics.unavailable += 1
                read = NOTHING
            entry = read.entry
            if entry is not None and read.freshness is not STALE:
                if not counted:
                    self.statistics.hits += 1
                    self.statistics.response_time.add(1000 * (perf_counter() - started))
                if read.freshness is DUE:
                    self._refresh(at, load, tags, read.seen)
                if moment:
                    self._keep(at, entry, moment)
                hit: T = entry.value
                return hit
            if not counted:
                self.statistics.misses += 1
                counted = True
            stale = entry
            if stale is not None and self._is_paused(at.key):
                return self._stand_in(stale)
            joined = self._flights.present(at.key)
            flight = joined or self._begin(at, load, tags, read.seen)
            try:
                landed = await _landing(flight, at.key)
            except Exception:
                if stale is None:
                    raise
                return self._stand_in(stale)
            if landed is not None and (landed.current or joined is None):
                return self._shared(landed.value, begun_here=joined is None)
        return await self._loaded(load)

    async def _fill_from_redis(self, wanted: Sequence[Mapping[str, object]], many: _Many) -> None:
        """Look up what is wanted, and put in the values of fresh entries without tags."""
        started, storage = perf_counter(), self._services.storage
        parts = self._look_up(wanted, many)
        asked = zip(many.absent, many.asked, strict=True)
        try:
            async for found in storage.read_many(parts):
                for number, at, entry in self._reader.fresh(zip(found, asked, strict=False)):
                    many.values[number] = entry.value
                    self.statistics.hits += 1
                    if many.moments:
                        self._keep(at, entry, many.moments[number])
        except RedisAwayError:
            deque(parts, maxlen=0)  # the loads need the places of all
            self.statistics.unavailable += sum(1 for _ in asked)
        else:
            if many.absent:
                self.statistics.response_time.add(1000 * (perf_counter() - started))

    def _look_up(
        self, wanted: Sequence[Mapping[str, object]], many: _Many
    ) -> Iterator[Sequence[Place]]:
        """Fill in what this process knows; what it does not have is to be asked for, in parts."""
        for first in range(0, len(wanted), PART):
            places = list(map(self._place, wanted[first : first + PART]))
            many.places += places
            if self.pending or self._local is not None:
                values = [self._held(at.key) for at in places]
                absent = [n for n, value in enumerate(values, first) if value is MISSING]
                places = [many.places[index] for index in absent]
                many.moments.update((n, self._moment(many.places[n], ())) for n in absent)
                many.absent += absent
                many.values += values
            else:
                many.absent += range(first, first + len(places))
                many.values += [MISSING] * len(places)
            if places:
                many.asked += places
                yield places

    def _begin(
        self, at: Place, load: Load, tags: tuple[str, ...], seen: bytes, *, refreshes: bool = False
    ) -> asyncio.Task[Landed | None]:
        async def fly() -> Landed | None:
            return await self._fly(at, load, tags, seen, refreshes)

        return self._flights.begin(at.key, fly)

    async def _fly(
        self, at: Place, load: Load, tags: tuple[str, ...], seen: bytes, refreshes: bool
    ) -> Landed | None:
        tower = self._services.tower
        begun = self._services.invalidator.validity.changes
        try:
            while True:
                moment = self._moment(at, tags)
                ask = tower.ask_once if refreshes else tower.ask
                answer = await ask(at, tags, seen)
                if not isinstance(answer, Stored):
                    break
                read = await self._reader.checked(at, answer)
                if read.entry is not None and read.freshness is not STALE:
                    self._keep(at, read.entry, moment)
                    return Landed(read.entry.value, current=True)
                seen = answer.write_id
        except RedisAwayError:
            value = await self._loaded(load)
            unchanged = begun == self._services.invalidator.validity.changes
            return Landed(value, current=unchanged)
        if answer is None:
            return None
        async with tower.holding(at, answer):
            value = await self._loaded_or_pause(at, load)
            put = await self._store(at, tags, answer, value, moment)
        return Landed(value, current=put is not None and (put.stored or put.too_large))

    async def _loaded(self, load: Callable[[], Awaitable[T]]) -> T:
        self.statistics.loads += 1
        try:
            return await load()
        except Exception:
            self.statistics.failed_loads += 1
            raise

    async def _loaded_or_pause(self, at: Place, load: Load) -> Any:
        try:
            value = await self._loaded(load)
        except Exception as error:
            _logger.info("The load of %s failed: %s", at.key, error)
            self._pause(at.key)
            raise
        self._paused_until.pop(at.key, None)
        return value

    async def _store(
        self,
        at: Place,
        tags: tuple[str, ...],
        grant: Granted,
        value: Any,
        moment: tuple[int, ...] = (),
        write_id: bytes = b"",
    ) -> Put | None:
        lifetime = self._lifetime(value)
        entry = Entry(value, self._services.storage.now(), lifetime, write_id, tags)
        envelope = self._sealer.seal(at.key, entry)
        try:
            put = await self._services.storage.store(
                at, tags, grant, envelope, self._kept(lifetime)
            )
        except RedisAwayError:
            return None
        self._count(put)
        if put.stored and moment:
            self._keep(at, entry, moment)
        return put

    async def _take(self, at: Place, tags: tuple[str, ...]) -> Granted | None:
        """The lease, from whoever holds it; None where Redis is away."""
        storage, lease_ms = self._services.storage, self._services.tower.lease_ms
        self._services.invalidator.void_here((at.key,))
        try:
            answer = await storage.lease(at, tags, seen=b"", lease_ms=lease_ms, force=True)
        except RedisAwayError:
            return None
        return answer if isinstance(answer, Granted) else None

    def _refresh(self, at: Place, load: Load, tags: tuple[str, ...], seen: bytes) -> None:
        if at.key in self._flights or self._is_paused(at.key):
            return
        self.statistics.refreshes += 1
        self._begin(at, load, tags, seen, refreshes=True)

    def _keep(self, at: Place, entry: Entry, moment: tuple[int, ...]) -> None:
        if self._local is None:
            return
        left = entry.made + entry.lifetime - self._services.storage.now()
        if left > 0:
            names = at.depends_on(entry.tags)
            if len(moment) != len(names) + 1:
                return  # the entry has other tags than the caller knew of
            self._local.put(at.key, entry.value, left / 1000, names, moment)

    def _moment(self, at: Place, tags: tuple[str, ...]) -> tuple[int, ...]:
        if self._local is None:
            return ()
        return self._services.invalidator.validity.moment(at.depends_on(tags))

    def _seal(self, at: Place, value: Any, lifetime: int, tags: tuple[str, ...]) -> bytes:
        entry = Entry(value, self._services.storage.now(), lifetime, tags=tags)
        return self._sealer.seal(at.key, entry)

    def _lifetime(self, value: Any) -> int:
        """Milliseconds that a new entry is fresh, somewhat shorter each time at random."""
        lifetime = self.declaration.lifetime
        early = random.uniform(0, lifetime.jitter)  # noqa: S311
        return max(1, int(1000 * lifetime.of(value) * (1 - early)))

    def _kept(self, lifetime_ms: int) -> int:
        """Milliseconds that Redis keeps an entry, so that it can stand in for a failing source."""
        return lifetime_ms + int(1000 * self.declaration.lifetime.stale)

    def _shared(self, value: Any, *, begun_here: bool) -> T:
        """The value for one of several callers, each of which may change its own."""
        mine: T = value
        if not begun_here and not is_immutable(value):
            mine = self._sealer.codec.decode(self._sealer.codec.encode(value))
        return mine

    def _stand_in(self, entry: Entry) -> T:
        self.statistics.stale_hits += 1
        value: T = entry.value
        return value

    def _count(self, put: Put) -> None:
        self.statistics.sets += put.stored
        self.statistics.evictions += put.evicted
        if put.too_large:
            self.statistics.too_large += 1
            _logger.warning("A value is larger than all of the budget of the layer %s.", self.name)
        elif not put.stored:
            self.statistics.refused += 1

    def _is_paused(self, key: str) -> bool:
        return self._paused_until.get(key, 0.0) > self._services.clock()

    def _pause(self, key: str) -> None:
        if len(self._paused_until) >= _PAUSES_MAX:
            self._paused_until.clear()
        self._paused_until[key] = self._services.clock() + self._services.retry_pause


async def _landing(flight: asyncio.Task[Landed | None], key: str) -> Landed | None:
    """What a flight brought. A load that cancels itself is a failure, and cancels no caller."""
    try:
        return await asyncio.shield(flight)
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if flight.cancelled() and not (caller and caller.cancelling()):
            raise CacheError(f"The load of {key} was cancelled.") from None
        raise
