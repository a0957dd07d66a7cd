"""Reads that are asked for in one turn of the event loop, as one MGET.

A read that nobody else is waiting beside is sent at once; while it is under way, further ones are
gathered until the turn ends. Stamps that several entries stand under are asked for once.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Final, Protocol

from stellwerk.caching.connection import Reply
from stellwerk.caching.errors import RedisAwayError

AT_ONCE: Final = 500
"""Entries in one MGET at most: others wait for Redis that long."""
PART: Final = 50
"""Entries asked for at once where there are more: a hundred so take 5 to 8 % less time."""


class Wanted(Protocol):
    """What is read: an entry and the stamps it stands under."""

    @property
    def key(self) -> str:
        """The entry's key."""

    @property
    def stamps(self) -> tuple[str, ...]:
        """The names of its stamps."""


class Sends(Protocol):
    """Sends commands."""

    def send(self, *words: str) -> asyncio.Future[Reply]:
        """The answer to come."""


class Link(Protocol):
    """Has a session while Redis is there."""

    @property
    def session(self) -> Sends:
        """The present one. Raises RedisAwayError."""


Found = tuple[bytes | None, bytes | None]
"""An entry as it is stored, and its stamps as they are, one after the other; None where it, or one
of them, is not there.
"""

StampSets = tuple[tuple[str, ...], ...]


class MergedReads:
    """Reads entries for all coroutines of a process."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._under_way = 0
        self._gathered: list[tuple[Wanted, asyncio.Future[Found]]] = []

    async def read(self, wanted: Wanted) -> Found:
        """The entry and its stamps. Raises RedisAwayError."""
        if self._under_way:
            return await self._later(wanted)
        self._under_way += 1
        try:
            data, *stamps = await self._link.session.send("MGET", wanted.key, *wanted.stamps)
        finally:
            self._under_way -= 1
        return data, _joined(stamps)

    async def read_many(self, parts: Iterable[Sequence[Wanted]]) -> AsyncIterator[list[Found]]:
        """The same for many, an MGET for each part: it is with Redis while the next one is made up,
        and while the answer to the one before is used.
        """
        sent = []
        for part in parts:
            sets = _stamp_sets(part)
            keys = [each.key for each in part]
            sent.append((part, sets, self._link.session.send("MGET", *keys, *_stamps(sets))))
        for part, sets, answer in sent:
            yield _found(part, sets, await answer)

    def _later(self, wanted: Wanted) -> asyncio.Future[Found]:
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._send)
        future: asyncio.Future[Found] = loop.create_future()
        self._gathered.append((wanted, future))
        return future

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        for at in range(0, len(gathered), AT_ONCE):
            part = gathered[at : at + AT_ONCE]
            wanted = [each for each, _ in part]
            futures = [future for _, future in part]
            sets = _stamp_sets(wanted)
            keys = [each.key for each in wanted]
            try:
                answer = self._link.session.send("MGET", *keys, *_stamps(sets))
            except RedisAwayError as error:
                _fail(futures, error)
            else:
                self._under_way += 1
                answer.add_done_callback(partial(self._hand_out, wanted, sets, futures))

    def _hand_out(
        self,
        wanted: list[Wanted],
        sets: StampSets,
        futures: list[asyncio.Future[Found]],
        answer: asyncio.Future[Reply],
    ) -> None:
        self._under_way -= 1
        error = answer.exception()
        if error is not None:
            _fail(futures, error)
            return
        for future, each in zip(futures, _found(wanted, sets, answer.result()), strict=True):
            if not future.done():
                future.set_result(each)


def _stamp_sets(wanted: Iterable[Wanted]) -> StampSets:
    """The stamps that entries stand under together, each set once: few for many entries."""
    return tuple(dict.fromkeys([each.stamps for each in wanted]))


def _stamps(sets: StampSets) -> list[str]:
    """The names of all stamps, each once."""
    return list(dict.fromkeys(chain.from_iterable(sets)))


def _found(wanted: Sequence[Wanted], sets: StampSets, reply: Reply) -> list[Found]:
    """What Redis answered to each: first are the entries, then the stamps."""
    present = dict(zip(_stamps(sets), reply[len(wanted) :], strict=True))
    joined = {stamps: _joined(map(present.__getitem__, stamps)) for stamps in sets}
    return [(data, joined[each.stamps]) for each, data in zip(wanted, reply, strict=False)]


def _joined(stamps: Iterable[bytes | None]) -> bytes | None:
    try:
        return b"".join(stamps)  # type: ignore[arg-type]
    except TypeError:  # one of them is None
        return None


def _fail(futures: Iterable[asyncio.Future[Found]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
