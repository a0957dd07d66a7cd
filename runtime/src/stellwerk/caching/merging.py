"""Reads that are asked for in one turn of the event loop, as one MGET.

A read that nobody else is waiting beside is sent at once; while it is under way, further ones are
gathered until the turn ends. Stamps that several entries stand under are asked for once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from stellwerk.caching.connection import Reply
from stellwerk.caching.errors import RedisAwayError

AT_ONCE: Final = 500
"""Entries in one MGET at most: others wait for Redis that long."""


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


Found = tuple[bytes | None, Sequence[bytes | None]]
"""An entry as it is stored, and its stamps as they are."""


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
        return data, stamps

    async def read_many(self, wanted: Sequence[Wanted]) -> list[Found]:
        """The same for many, in their order."""
        parts = [wanted[at : at + AT_ONCE] for at in range(0, len(wanted), AT_ONCE)]
        answers = [self._link.session.send(*_words(part)) for part in parts]
        return [
            found
            for part, answer in zip(parts, answers, strict=True)
            for found in _found(part, await answer)
        ]

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
            try:
                answer = self._link.session.send(*_words(wanted for wanted, _ in part))
            except RedisAwayError as error:
                _fail(part, error)
            else:
                self._under_way += 1
                answer.add_done_callback(partial(self._hand_out, part))

    def _hand_out(
        self, part: list[tuple[Wanted, asyncio.Future[Found]]], answer: asyncio.Future[Reply]
    ) -> None:
        self._under_way -= 1
        error = answer.exception()
        if error is not None:
            _fail(part, error)
            return
        found = _found([wanted for wanted, _ in part], answer.result())
        for (_, future), each in zip(part, found, strict=True):
            if not future.done():
                future.set_result(each)


def _words(wanted: Iterable[Wanted]) -> list[str]:
    """The MGET of all keys, then of all stamps, each once."""
    wanted = list(wanted)
    stamps = dict.fromkeys([name for each in wanted for name in each.stamps])
    return ["MGET", *[each.key for each in wanted], *stamps]


def _found(wanted: Sequence[Wanted], reply: Reply) -> list[Found]:
    """What the answer to `_words` says of each."""
    names = dict.fromkeys([name for each in wanted for name in each.stamps])
    stamps = dict(zip(names, reply[len(wanted) :], strict=True))
    return [
        (data, [stamps[name] for name in each.stamps])
        for each, data in zip(wanted, reply, strict=False)
    ]


def _fail(part: list[tuple[Wanted, asyncio.Future[Found]]], error: BaseException) -> None:
    for _, future in part:
        if not future.done():
            future.set_exception(error)
