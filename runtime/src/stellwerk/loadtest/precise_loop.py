"""An event loop whose timers are precise to some 0.1 ms.

epoll waits for whole milliseconds, so the timers of asyncio are half a millisecond late on average:
too much for a tool that states medians below that.
"""

import asyncio
import select
import selectors


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop, for `asyncio.Runner(loop_factory=...)`."""
    return asyncio.SelectorEventLoop(_PreciseSelector())


class _PreciseSelector(selectors.EpollSelector):
    """Waits by select(2), which knows microseconds, for the one descriptor of epoll itself."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)
