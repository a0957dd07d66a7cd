"""What a line of nginx's access log says of the instances that were asked.

The format is declared in nginx.conf; docs/balancing.md describes it for other readers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_FIELDS: Final = 9
_UPSTREAM: Final = 1
_ADDRESSES: Final = 2
_STATUSES: Final = 3
_SEPARATOR: Final = re.compile(r", | : ")  # between attempts: further servers, further upstreams


@dataclass(frozen=True)
class Attempt:
    """One attempt of nginx to have a request answered by a server of an upstream."""

    upstream: str
    address: str  # with the port, IPv6 in brackets
    failed: bool  # answered with 5xx or not at all


def attempts(line: str) -> Iterator[Attempt]:
    """The attempts that a line of the log is about; none where nginx answered by itself, or where
    the line is not whole.
    """
    fields = line.rstrip("\n").split("\t")
    if len(fields) != _FIELDS:
        return
    addresses = _SEPARATOR.split(fields[_ADDRESSES])
    statuses = _SEPARATOR.split(fields[_STATUSES])
    if len(addresses) != len(statuses):
        return
    for address, status in zip(addresses, statuses, strict=True):
        if ":" in address:  # else no server was left, and the upstream's own name stands here
            yield Attempt(fields[_UPSTREAM], address, failed=not "100" <= status < "500")
