"""HAProxy's latest requests, from the ring in its memory that it writes its log to. Pure.

`show events RING` shows all of it each time. A connection that waits for what comes would keep an
old process of HAProxy from ending after a reload.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

RING: Final = "requests"
"""Its name in HAProxy's configuration."""

# HAProxy's httplog: CLIENT [TIME] FRONTEND BACKEND/SERVER TR/Tw/Tc/Tr/Ta STATUS ... "METHOD /PATH".
_LINE: Final = re.compile(
    r"^\S+ \[[^]]+\] \S+ ([^/\s]+)/\S+ (-?\d+)/(-?\d+)/(-?\d+)/-?\d+/\+?(\d+) [^\"\n]*"
    r"\"([A-Z]+) ([^ ?\"]+)",
    re.MULTILINE,
)


class Answered(NamedTuple):
    """A request that a server was asked for, and how long that took: waiting in the queue, the
    attempts, and the answer up to its last byte.
    """

    backend: str
    method: str
    path: str
    seconds: float


class RequestLog:
    """Tells what is new in the ring since the last look. At the first one nothing is."""

    def __init__(self) -> None:
        self._last: str | None = None

    def fresh(self, shown: str) -> Iterator[Answered]:
        """The new requests in what HAProxy shows of its ring."""
        lines = shown.strip()
        before, self._last = self._last, lines.rpartition("\n")[2]
        if before is None:
            return iter(())
        # Where the last one is not there any more, all others have come since.
        _, _, fresh = lines.rpartition(before) if before else ("", "", lines)
        return answered(fresh)


def answered(lines: str) -> Iterator[Answered]:
    """The requests in lines of the log; those that no server was asked for are left out."""
    for backend, headers, queue, connect, whole, method, path in _LINE.findall(lines):
        if "-" not in queue + connect:
            seconds = (int(whole) - max(0, int(headers))) / 1000
            yield Answered(backend, method, path, max(0.0, seconds))
