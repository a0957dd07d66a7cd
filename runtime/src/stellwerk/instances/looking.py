"""Looks at the ledger again and again, for what is shown while it changes or waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from stellwerk.instances.errors import LedgerAwayError
from stellwerk.instances.store import Ledger
from stellwerk.terminal.figures import age
from stellwerk.terminal.screen import Screen

PAUSE_SECONDS = 1.0
"""Time between two looks: what is shown has ages in seconds."""

T = TypeVar("T")


@dataclass(frozen=True)
class Away:
    """The ledger does not answer, since when and why."""

    since: datetime
    reason: str

    def sentence(self) -> str:
        """For people."""
        silence = age((datetime.now(UTC) - self.since).total_seconds())
        return (
            f"{self.reason} Asking again since {self.since:%H:%M:%S} UTC ({silence});"
            " instances serve on meanwhile, and nothing moves."
        )


@dataclass(frozen=True)
class Shown:
    """What is to be on the screen. `moved` differs where something is news and not only older."""

    lines: Sequence[str]
    moved: object
    code: int | None = None  # the exit code, once there is nothing more to wait for


async def looks(ledger: Ledger, look: Callable[[], Awaitable[T]]) -> AsyncIterator[T | Away]:
    """What `look` finds in the ledger, now and then once a second, without end."""
    away: Away | None = None
    while True:
        try:
            if away:
                await ledger.connect()
            found: T | Away = await look()
            away = None
        except LedgerAwayError as error:
            away = found = Away(away.since if away else datetime.now(UTC), str(error))
        yield found
        await asyncio.sleep(PAUSE_SECONDS)


async def until_settled(
    ledger: Ledger,
    look: Callable[[], Awaitable[T]],
    show: Callable[[T], Shown],
    screen: Screen,
    seconds: float | None = None,
) -> int | None:
    """Show the ledger, which is connected, until `show` says that all is settled, and return its
    exit code; None where that takes more than so many seconds.
    """
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    last: Sequence[str] = ()
    async for found in looks(ledger, look):
        if isinstance(found, Away):
            screen.show([*last, *screen.wrapped(found.sentence())], found.since)
        else:
            shown = show(found)
            last = shown.lines
            screen.show(shown.lines, shown.moved)
            if shown.code is not None:
                return shown.code
        if end is not None and loop.time() >= end:
            return None
    raise AssertionError("looking never ends by itself")
