"""What Redis has of a layer's entries, and how it may be used."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from stellwerk.caching.envelope import Entry, Sealer
from stellwerk.caching.errors import UnreadableError
from stellwerk.caching.layers import Lifetime
from stellwerk.caching.statistics import Statistics
from stellwerk.caching.storage import STAMP_BYTES, Place, Storage, Stored
from stellwerk.caching.usage import Usage


class Freshness(Enum):
    """How an entry may be used."""

    FRESH = "as it is"
    DUE = "as it is, and it is to be refreshed"
    STALE = "only where the source fails"


FRESH, DUE, STALE = Freshness
"""By these names as reading one from the Enum takes 0.2 µs (Python 3.11), three times in a hit."""


class Read(msgspec.Struct, frozen=True, gc=False):
    """What Redis answered: an entry that can be used, or none and what is in its place."""

    entry: Entry | None = None
    seen: bytes = b""
    freshness: Freshness = STALE


NOTHING: Final = Read()


@dataclass(frozen=True)
class Reader:
    """Reads the entries of one layer. Every method that asks Redis raises RedisAwayError."""

    lifetime: Lifetime
    sealer: Sealer
    storage: Storage
    usage: Usage
    statistics: Statistics

    async def read(self, at: Place) -> Read:
        """The entry at a place, if it stands under its stamps."""
        stored = await self.storage.read(at)
        if stored is None:
            return NOTHING
        if stored.begin == stored.tags:
            read = self._opened(at, stored)
        else:
            read = await self.checked(at, stored)
        if read.entry is not None and at.budget is not None:
            self.usage.note(at)
        return read

    async def checked(self, at: Place, stored: Stored) -> Read:
        """What is stored, unless a tag of it has lost its validity."""
        read = self._opened(at, stored)
        if read.entry is not None and read.entry.tags:
            present = await self.storage.tag_stamps(read.entry.tags)
            if present != stored.tag_stamps:
                return Read(seen=stored.write_id)
        return read

    def fresh(
        self, found: Iterable[tuple[Stored | None, tuple[int, Place]]]
    ) -> Iterator[tuple[int, Place, Entry]]:
        """Of what was found at numbered places, the entries that can be used as they are.

        Left out is what has tags, is unreadable or due for a refresh: `read` deals with it.
        """
        now, share = self.storage.now(), self.lifetime.refresh_share
        usable = 1 if share is None else share
        for stored, (number, at) in found:
            if stored is None or stored.begin != stored.tags:
                continue
            try:
                entry = self.sealer.open(at.key, stored.envelope)
            except UnreadableError:
                continue
            if now - entry.made < usable * entry.lifetime and not entry.tags:
                if at.budget is not None:
                    self.usage.note(at)
                yield number, at, entry

    def _opened(self, at: Place, stored: Stored) -> Read:
        try:
            entry = self.sealer.open(at.key, stored.envelope)
            if stored.begin - stored.tags != STAMP_BYTES * len(entry.tags):
                raise UnreadableError("altered")
        except UnreadableError as error:
            self.statistics.unreadable[error.reason] += 1
            return Read(seen=stored.write_id)
        age = self.storage.now() - entry.made
        return Read(entry, entry.write_id, _freshness(age, entry.lifetime, self.lifetime))


def _freshness(age_ms: int, lifetime_ms: int, lifetime: Lifetime) -> Freshness:
    if age_ms >= lifetime_ms:
        return STALE
    share = lifetime.refresh_share
    if share is not None and age_ms >= share * lifetime_ms:
        return DUE
    return FRESH
