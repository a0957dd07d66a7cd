"""A limit on the wall-clock time of a call, also of one that is slow to be cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

# Two in a row count as one when the task had no turn in between, so one more than psycopg needs.
_CANCELLATIONS: Final = 3
_CANCELLATION_SECONDS: Final = 0.1


class Bounded:
    """Runs calls with a limit. Those that were given up end in the background, or with `close`.

    asyncio.timeout() is not enough for a frozen PostgreSQL: psycopg answers a cancellation by
    asking the server to cancel too and waits up to ten seconds for its reply.
    """

    def __init__(self) -> None:
        self._given_up: set[asyncio.Task[Any]] = set()

    async def within(self, seconds: float, call: Coroutine[Any, Any, _T]) -> _T:
        """The result of the call, or TimeoutError after `seconds`."""
        task = asyncio.ensure_future(call)
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            self._give_up(task)
            raise
        if not done:
            self._give_up(task)
            raise TimeoutError(f"no answer within {seconds:g} s")
        return task.result()

    async def close(self) -> None:
        """End what still runs: a second cancellation makes psycopg drop the connection at once."""
        for _ in range(_CANCELLATIONS):
            if self._given_up:
                for task in self._given_up:
                    task.cancel()
                await asyncio.wait(self._given_up, timeout=_CANCELLATION_SECONDS)

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        self._given_up.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, as nobody waits for it any more
