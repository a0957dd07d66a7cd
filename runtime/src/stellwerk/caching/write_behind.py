"""Write-behind: a write is acknowledged once the local journal has it, and applied to PostgreSQL
in the background, in order and exactly once.

The database keeps, in the same transaction as the writes, up to which number a journal was
applied. So whatever is killed when, a replay neither loses nor repeats a write.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import msgspec
import psycopg

from stellwerk.caching.errors import (
    CacheError,
    DeclarationError,
    JournalError,
    JournalInUseError,
)
from stellwerk.caching.extensions import prepared, restored
from stellwerk.caching.journal import Journal, Record, has_segments, opened, set_aside_in
from stellwerk.caching.layer import Layer
from stellwerk.settings.caching import WriteBehind as Settings

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cache_journals (
    journal uuid PRIMARY KEY,
    applied bigint NOT NULL
)
"""
"""The table that says up to which number a journal was applied."""

_CLAIM: Final = """
INSERT INTO cache_journals (journal, applied) VALUES (%s, 0)
ON CONFLICT (journal) DO UPDATE SET applied = cache_journals.applied RETURNING applied
"""
_ADVANCE: Final = "UPDATE cache_journals SET applied = %s WHERE journal = %s"

_BLAMED: Final = frozenset({"22", "23", "42", "44", "P0"})
"""Classes of SQLSTATE that are the write's fault: its data, a constraint, a statement that names
what is not there, a check option, an exception raised by a trigger. All others pass by themselves:
a lost connection, a standby that takes no writes, a full disk, a deadlock.
"""

_ADOPTION_SECONDS: Final = 10.0
"""Time that another's journal is held at most: its process may start again meanwhile."""

_CLAIM_SECONDS: Final = 3 * _ADOPTION_SECONDS
_CLAIM_PAUSE_SECONDS: Final = 0.05

_logger = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[Any]


class _Refused(Exception):
    """An applier refused a write, and would again."""


@dataclass(frozen=True)
class Write:
    """A write to apply: the fields of its key, the value, and when it was made by Redis' clock.

    Writes of one entry by several processes may be applied in another order than they were made:
    an applier that compares `made` with what the database has lets the newest win.
    """

    fields: Mapping[str, Any]
    value: Any
    made: datetime


Apply = Callable[[Connection, Sequence[Write]], Awaitable[None]]
"""Applies writes of one layer in a transaction that is not its own to commit. They are in the
order in which they were made, and of each entry there is only the newest.
"""


class WriteBehind:
    """The pending writes of one process. Use it as `async with`, inside the cache's.

    `name` tells processes of a host apart and must be the same when this one starts again;
    `connect` opens a connection to the database; `appliers` say how a layer's writes are applied.
    Leaving waits `drain_seconds` for the database; what is left is applied at the next start, or
    by another process with the same folder: each looks regularly for the journals of those that
    are gone. Entering raises JournalError where another process uses that name.
    """

    _is_adoption: ClassVar[bool] = False

    def __init__(
        self,
        settings: Settings,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        appliers: Mapping[Layer[Any], Apply],
        *,
        drain_seconds: float = 10.0,
    ) -> None:
        self.applied = 0
        """The number up to which the database has everything."""
        self.set_aside = 0
        """Writes that the database refused for good since the start."""
        self._settings = settings
        self._folder = Path(settings.directory) / name
        self._connect = connect
        self._appliers = appliers
        self._layers = {layer.name: layer for layer in appliers}
        self._drain_seconds = drain_seconds
        self._queue: list[Record] = []
        self._entered = asyncio.Event()
        self._changed = asyncio.Condition()
        self._newest: dict[tuple[str, str], int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: Journal | None = None

    async def __aenter__(self) -> Self:
        """Open the journal; what a former process left is applied first."""
        self._journal = await self._claimed()
        for record in self._journal.recovered:
            self._enter(record)
        self._tasks = [asyncio.create_task(self._run(self._journal))]
        if not self._is_adoption:
            self._tasks.append(asyncio.create_task(self._adopt_regularly()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take no more writes, wait for the database, and close the journal."""
        journal, self._journal = self._journal, None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self.drained()
        if self.pending:
            _logger.warning("%d writes are left for the next start.", self.pending)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if journal is not None:
            await journal.close()

    @property
    def pending(self) -> int:
        """Writes that the database does not have yet."""
        return len(self._queue)

    async def write(self, layer: Layer[Any], value: Any, /, **fields: object) -> None:
        """Acknowledge a write: the journal has it, readers here see it, the cache has it too.

        Beyond the settings' `pending_max` it returns only when the database has it. Raises
        JournalError where the journal cannot be written, and DeclarationError for a layer without
        an applier or after the end.
        """
        journal = self._journal
        if layer not in self._appliers or journal is None:
            raise DeclarationError(
                f"The layer {layer.name} takes no writes behind: give it an applier, and write"
                " while write-behind is open."
            )
        writing = layer.sealed(value, fields)
        packed = msgspec.msgpack.encode(prepared(dict(fields)))
        record = await journal.append(layer.name, writing.at.key, packed, writing.envelope)
        await layer.set_sealed(writing)
        if self.pending > self._settings.pending_max:
            await self._applied_up_to(record.sequence)

    async def drained(self) -> None:
        """Wait until the database has everything."""
        if self._queue:
            await self._applied_up_to(self._queue[-1].sequence)

    def refused(self) -> list[Record]:
        """The writes that were set aside, with the reason."""
        return set_aside_in(self._folder)

    async def _claimed(self) -> Journal:
        """The journal; one that somebody adopts at this moment is waited for."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (0 if self._is_adoption else _CLAIM_SECONDS)
        while True:
            try:
                return opened(self._folder, self._enter)
            except JournalInUseError:
                if loop.time() >= end:
                    raise
            await asyncio.sleep(_CLAIM_PAUSE_SECONDS)

    async def _adopt_regularly(self) -> None:
        while True:
            try:
                await adopt(self._settings, self._connect, self._appliers)
            except OSError as error:
                _logger.warning("Journals cannot be looked for: %s", error)
            await asyncio.sleep(self._settings.adopt_seconds)

    def _enter(self, record: Record) -> None:
        self._queue.append(record)
        self._newest[_entry(record)] = record.sequence
        self._entered.set()
        layer = self._layers.get(record.layer)
        if layer is not None and not self._is_adoption:
            layer.pending[record.key] = record.envelope

    async def _applied_up_to(self, sequence: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.applied >= sequence)

    async def _run(self, journal: Journal) -> None:
        connection: Connection | None = None
        try:
            while True:
                await self._entered.wait()
                try:
                    if connection is None or connection.closed:
                        connection = await self._connect()
                    while self._queue:
                        await self._apply_some(journal, connection)
                    self._entered.clear()
                except Exception as error:  # whatever it is, the writes are kept and tried again
                    _logger.warning("The database takes no pending writes: %s", _line(error))
                    if connection is not None:
                        await connection.close()
                    await asyncio.sleep(self._settings.retry_pause_ms / 1000)
        finally:
            if connection is not None:
                await connection.close()

    async def _apply_some(self, journal: Journal, connection: Connection) -> None:
        batch = self._queue[: self._settings.batch]
        try:
            await self._apply_together(journal, connection, batch)
        except _Refused as error:
            _logger.info("A batch of writes was refused, trying each: %s", error)
            for record in batch:
                await self._apply_alone(journal, connection, record)
        await self._leave(batch)
        journal.forget(self.applied)

    async def _apply_together(
        self, journal: Journal, connection: Connection, batch: Sequence[Record]
    ) -> None:
        async with connection.transaction():
            await self._apply(connection, await _left(connection, journal, batch))
            await _advance(connection, journal, batch[-1])

    async def _apply_alone(self, journal: Journal, connection: Connection, record: Record) -> None:
        """Apply one write; set it aside where it is refused too often."""
        reason = ""
        for attempt in range(self._settings.attempts):
            if attempt:
                await asyncio.sleep(self._settings.retry_pause_ms / 1000)
            try:
                await self._apply_together(journal, connection, [record])
            except _Refused as error:
                reason = str(error)
            else:
                return
        _logger.error("The write of %s was set aside: %s", record.key, reason)
        await journal.set_aside(record, reason)
        self.set_aside += 1
        async with connection.transaction():
            await _left(connection, journal, [record])
            await _advance(connection, journal, record)

    async def _apply(self, connection: Connection, records: Sequence[Record]) -> None:
        """Apply the newest of each entry, layer by layer, in the order they were made."""
        newest = {(record.layer, record.key): record for record in records}
        ordered = sorted(newest.values(), key=lambda record: record.sequence)
        try:
            for layer, apply in self._appliers.items():
                writes = [_write(layer, record) for record in ordered if record.layer == layer.name]
                if writes:
                    await apply(connection, writes)
        except Exception as error:
            if _is_blamed(error):
                raise _Refused(_line(error)) from error
            raise
        if unknown := {record.layer for record in ordered} - set(self._layers):
            raise _Refused(
                f"The journal has writes of {min(unknown)}, which has no applier here: give it one."
            )

    async def _leave(self, batch: Sequence[Record]) -> None:
        """The database has these: readers may ask it again, and the journal may forget them."""
        newest = [record for record in batch if self._newest.get(_entry(record)) == record.sequence]
        for record in newest:
            del self._newest[_entry(record)]
        await asyncio.gather(*map(self._settle, newest))
        async with self._changed:
            del self._queue[: len(batch)]
            self.applied = batch[-1].sequence
            self._changed.notify_all()

    async def _settle(self, record: Record) -> None:
        """Other processes may have loaded what the database had before: say it once more."""
        layer = self._layers.get(record.layer)
        if layer is None:
            return
        try:
            await layer.confirm(record.envelope, _fields(record))
        except CacheError as error:
            # A release before this one wrote it, with other keys: no reader asks for those.
            _logger.info("The entry of %s is of another form: %s", record.key, error)
        if layer.pending.get(record.key) == record.envelope:
            del layer.pending[record.key]


class _Adoption(WriteBehind):
    """The journal of a process that is gone. Readers are not shown its writes: another's may be
    newer.
    """

    _is_adoption = True

    async def finish(self, seconds: float) -> int:
        """Wait so long for the database; how many writes it has taken."""
        found = self.pending
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.drained()
        taken = found - self.pending
        if found:
            _logger.info("Of %d writes of a process that is gone, %d are applied.", found, taken)
        if self._journal is not None and not self.pending:
            self._journal.retire()
        return taken


async def adopt(
    settings: Settings,
    connect: Callable[[], Awaitable[Connection]],
    appliers: Mapping[Layer[Any], Apply],
    *,
    drain_seconds: float = _ADOPTION_SECONDS,
) -> int:
    """Apply what processes that are gone have left in their journals; returns how many writes.

    Journals that are in use are left alone. One that is damaged is said in the log.
    """
    adopted = 0
    for folder in filter(has_segments, sorted(Path(settings.directory).glob("*/"))):
        left = _Adoption(settings, folder.name, connect, appliers, drain_seconds=0)
        try:
            async with left:
                adopted += await left.finish(drain_seconds)
        except JournalInUseError:
            continue
        except JournalError as error:
            _logger.error("%s", error)
    return adopted


async def _left(connection: Connection, journal: Journal, batch: Sequence[Record]) -> list[Record]:
    """Those that were not applied before, with the journal's row locked."""
    cursor = await connection.execute(_CLAIM, (journal.identity,))
    row = await cursor.fetchone()
    applied = row[0] if row else 0
    return [record for record in batch if record.sequence > applied]


async def _advance(connection: Connection, journal: Journal, record: Record) -> None:
    await connection.execute(_ADVANCE, (record.sequence, journal.identity))


def _entry(record: Record) -> tuple[str, str]:
    return record.layer, record.key


def _write(layer: Layer[Any], record: Record) -> Write:
    entry = layer.opened(record.key, record.envelope)
    made = datetime.fromtimestamp(entry.made / 1000, tz=UTC)
    return Write(_fields(record), entry.value, made)


def _is_blamed(error: Exception) -> bool:
    """Whether the write is to blame, and not a database that is away."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in _BLAMED
    away = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)
    return not isinstance(error, away)


def _fields(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = _decode(record.fields)
    return found


_decode = partial(msgspec.msgpack.Decoder(ext_hook=restored).decode)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
