"""Clients of a lab's cluster while something happens to it: of its services, and of its Redis."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.platform import Platform
from tests.lab.redis_cluster import RedisCluster
from tests.lab.traffic import Traffic, doors


@dataclass
class Noticed:
    """What clients noticed: known when they have ended.

    + failures: of requests to services, by the way in and the reason
    + lost_writes: acknowledged by Redis, and not there any more
    + seconds_without_writes: the longest time between two writes that Redis acknowledged
    """

    requests: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    writes: int = 0
    failed_writes: int = 0
    lost_writes: frozenset[int] = frozenset()
    seconds_without_writes: float = 0.0
    redis_errors: frozenset[str] = frozenset()

    @property
    def failed(self) -> int:
        """Failed requests to services."""
        return sum(self.failures.values())


@contextmanager
def clients(platform: Platform, folder: Path, rate: int) -> Iterator[Noticed]:
    """A client of Redis, and where there is a balancer some of HAProxy and nginx, while it lasts.

    + rate: requests per second through each of the two balancers
    """
    noticed = Noticed()
    cluster = RedisCluster(platform)
    balancers = [node.address for node in platform.nodes if "balancers" in node.groups]
    services = [Traffic(platform, folder, doors(address), rate) for address in balancers[:1]]
    with ExitStack() as stack:
        for one in services:
            stack.enter_context(one)
        writer = stack.enter_context(cluster.traffic(folder))
        yield noticed
        cluster.wait_for_writes(writer)
        notes = writer.finish()
    for one in services:
        noticed.requests, noticed.failures = one.requests, one.failures
    noticed.writes, noticed.failed_writes = len(notes.acknowledged), notes.failed
    noticed.lost_writes = notes.acknowledged - cluster.stored()
    noticed.seconds_without_writes = notes.longest_gap
    noticed.redis_errors = notes.errors
