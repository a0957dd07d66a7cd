"""Carrying invalidations out: in Redis, in this process, and later where Redis is away."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from stellwerk.caching import names
from stellwerk.caching.client import Session
from stellwerk.caching.errors import CacheError, RedisAwayError
from stellwerk.caching.globs import matches
from stellwerk.caching.layers import Layers
from stellwerk.caching.owing import Owed
from stellwerk.caching.planning import layer_plan, merged, place_of_key, without_looking
from stellwerk.caching.storage import Place, Plan, Storage, confirm, has_event, invalidate
from stellwerk.caching.validity import Validity

_REMEMBERED_MAX: Final = 1_000
"""Invalidations that are repeated on a server without them; had there been more, all layers are."""
_WRITTEN_MAX: Final = 2_000
"""Writes that are looked for on another server: the latest, as replicas are a moment behind."""
_CONFIRMED_AT_ONCE: Final = 200

_logger = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_names = msgspec.msgpack.Decoder(tuple[str, ...])


class Invalidator:
    """Invalidates in Redis and here. What cannot be done now is owed, and done before Redis is
    used again: until then nothing that it still holds is read.

    A server may have lost what the one before it had acknowledged: a replica that was promoted too
    early, or a restart from an older snapshot. Where the last event of this process is not in its
    history, the invalidations are repeated; and of an entry that this process has just written,
    nothing older is left.
    """

    def __init__(self, layers: Layers, storage: Storage, stream_length: int) -> None:
        self._layers = layers
        self._storage = storage
        self._stream_length = stream_length
        self._owed = Owed(layers)
        self._is_settled = asyncio.Event()
        self._is_settled.set()
        self._done: deque[Plan] = deque(maxlen=_REMEMBERED_MAX)
        self._last: tuple[bytes, bytes] | None = None
        self._written: deque[tuple[Place, bytes]] = deque(maxlen=_WRITTEN_MAX)
        self.validity = Validity()

    async def invalidate(self, plan: Plan) -> bool:
        """Carry the plan out; False: Redis is away, and it is owed."""
        self.validity.void(plan.names)
        await self._is_settled.wait()
        try:
            event = self.event(plan.names)
            self._last = (await self._storage.invalidate(plan, event), event)
            self._done.append(without_looking(plan))
            for glob in plan.scans:
                await self._look_for(glob)
        except RedisAwayError:
            self.owe(plan)
            return False
        finally:
            # Once more, for what was read from Redis before the deletion and arrived after.
            self.validity.void(plan.names)
        return True

    def event(self, voided: Iterable[str]) -> bytes:
        """What other processes are told."""
        return _encode(tuple(voided))

    def void_here(self, voided: Iterable[str]) -> None:
        """This process' own copies of these are worthless."""
        self.validity.void(voided)

    def wrote(self, place: Place, write_id: bytes) -> None:
        """Redis has acknowledged a write of the program."""
        self._written.append((place, write_id))

    def owe(self, plan: Plan) -> None:
        """Remember what Redis could not be told, or refused, and do not read it until it was."""
        self._owed.add(plan)
        self._storage.leave("it holds what is invalid")

    async def settle(self, session: Session) -> None:
        """Do what is owed, on a connection that nobody uses yet. Raises CacheError.

        When this returns nothing is owed, whatever became owed meanwhile.
        """
        if self._last is not None and not await has_event(session, *self._last):
            self._owed.add(self._remembered())
            _logger.warning("Redis has lost invalidations; they are repeated.")
        written = list(dict(self._written).items())
        for at in range(0, len(written), _CONFIRMED_AT_ONCE):
            part = written[at : at + _CONFIRMED_AT_ONCE]
            await asyncio.gather(*(self._confirm(session, *each) for each in part))
        await self._pay(session)
        # Much may have come meanwhile, and more would come with every answer that is waited for:
        # who comes now waits until the connection is theirs.
        self._is_settled.clear()
        try:
            while self._owed:
                await self._pay(session)
        finally:
            self._is_settled.set()

    async def _pay(self, session: Session) -> None:
        """Do what is owed at this moment."""
        if not self._owed:
            return
        owed = self._owed.take()
        event = self.event(owed.names)
        self.validity.void(owed.names)
        try:
            self._last = (await invalidate(session, owed, event, self._stream_length), event)
        except BaseException:
            self._owed.add(owed)
            raise
        self._done.append(owed)

    async def _confirm(self, session: Session, place: Place, write_id: bytes) -> None:
        event = self.event((place.key,))
        if not await confirm(session, place, write_id, event, self._stream_length):
            self.validity.void((place.key,))

    def _remembered(self) -> Plan:
        """What this process has invalidated."""
        if len(self._done) == _REMEMBERED_MAX:
            return merged(map(layer_plan, self._layers.all))
        return merged(self._done)

    async def _look_for(self, glob: str) -> None:
        async for keys in self._storage.scan(glob):
            found = [
                place_of_key(declaration, key)
                for key in keys
                if matches(glob, key)
                for declaration in self._layers.all
                if declaration.pattern.holds(key)
            ]
            if found:
                await self._storage.invalidate(Plan(places=tuple(found)), b"")


def voided_names(event: bytes) -> tuple[str, ...]:
    """What an event says. Raises CacheError where it says nothing."""
    try:
        return _names.decode(event)
    except msgspec.MsgspecError as error:
        raise CacheError(f"An event in {names.STREAM} is not one of ours: {error}.") from error
