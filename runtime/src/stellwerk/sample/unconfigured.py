"""Stand-ins where the unit names no PostgreSQL or no Redis, so that the rest asks no questions."""

from stellwerk.sample.answer import Answer, Load, Source
from stellwerk.sample.availability import Availability, Reach, UnavailableError
from stellwerk.sample.event_requests import EventAppend, EventQuery
from stellwerk.sample.query import Query, Question


class NoStore:
    """A store that has no database."""

    def __init__(self) -> None:
        self.availability = Availability("PostgreSQL", Reach.NOT_CONFIGURED)

    async def read(self, query: Query) -> bytes:
        """Raises UnavailableError always."""
        del query
        raise _no_database()

    async def events(self, query: EventQuery) -> bytes:
        """Raises UnavailableError always."""
        del query
        raise _no_database()

    async def append(self, wanted: EventAppend) -> int:
        """Raises UnavailableError always."""
        del wanted
        raise _no_database()

    async def probe(self) -> None:
        """Nothing to find out."""

    async def close(self) -> None:
        """Nothing to close."""


def _no_database() -> UnavailableError:
    return UnavailableError("This instance has no database: set DATABASE_HOST in its unit.")


class NoCache:
    """A cache that keeps nothing."""

    def __init__(self) -> None:
        self.availability = Availability("Redis", Reach.NOT_CONFIGURED)

    async def through(self, question: Question, load: Load) -> Answer:
        """The loaded answer always."""
        del question
        return Answer(await load(), Source.STORE)

    async def probe(self) -> None:
        """Nothing to find out."""

    async def close(self) -> None:
        """Nothing to close."""
