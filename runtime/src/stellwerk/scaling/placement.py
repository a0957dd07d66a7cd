"""On which app hosts instances are added and removed. Pure.

A service is spread over the hosts first, so that the loss of one costs it little; among hosts that
have as many of it, the one with the most cores and memory to spare comes first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stellwerk.instances.store import Capacity
from stellwerk.scaling.limits import Size

_CORE = 100.0
_UNEVEN = 2


@dataclass(frozen=True)
class AppHost:
    """An app host. One that is `lost` gets nothing, and what it had is made up for elsewhere."""

    name: str
    capacity: Capacity = field(default_factory=Capacity)
    lost: bool = False


@dataclass(frozen=True)
class Present:
    """The instances of a service on a host, by what they are to the scaler."""

    serving: int = 0
    starting: int = 0
    failed: int = 0
    leaving: int = 0  # for good; they can be had back while they run
    idle: int = 0  # of those that serve


@dataclass(frozen=True)
class Placement:
    """The wanted numbers of a service by host, and how many there is no room for."""

    counts: Mapping[str, int]
    unplaced: int = 0


@dataclass
class _Use:
    """What the wanted instances on a host may use; `coming`: memory of those that use none yet."""

    instances: int = 0
    cpu_percent: float = 0.0
    memory: int = 0
    coming: int = 0


class Floorplan:
    """The hosts at one judgement: what is placed takes room from what is placed after it.

    + hosts: app hosts, in the order of the inventory
    + sizes: what an instance of each service may use
    + desired: the wanted numbers by service and host; hosts that are not in `hosts` are lost
    + present: what there is, by service and host
    """

    def __init__(
        self,
        hosts: Iterable[AppHost],
        sizes: Mapping[str, Size],
        desired: Mapping[tuple[str, str], int],
        present: Mapping[tuple[str, str], Present],
    ) -> None:
        self._hosts = {one.name: one for one in hosts}
        self._order = {name: place for place, name in enumerate(self._hosts)}
        self._sizes = sizes
        self._present = present
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._use: dict[str, _Use] = defaultdict(_Use)
        for (service, host), count in desired.items():
            self._counts[service][host] = 0
            for _ in range(count):
                self._add(service, host)

    def place(self, service: str, total: int) -> Placement:
        """Have so many instances of a service, with as few changes as that takes."""
        counts, unplaced = self._counts[service], 0
        self._move_from_lost(service)
        while counts.total() < total:
            host = self._next_to_have(service)
            if host is None:
                unplaced = total - counts.total()
                break
            self._add(service, host)
        while counts.total() > total:
            self._remove(service, self._next_to_lose(service))
        return Placement(self.counts(service), unplaced)

    def even_out(self, service: str) -> tuple[str, str] | None:
        """Move one instance from the host with most to one with at least two fewer; from where to
        where, or None where there is no need. For a time there is one less to serve.
        """
        target = self._next_to_have(service)
        counts = {host: n for host, n in self._counts[service].items() if host in self._hosts}
        if target is None or not counts:
            return None
        source = max(counts, key=lambda host: counts[host])
        if counts[source] - counts.get(target, 0) < _UNEVEN:
            return None
        self._remove(service, source)
        self._add(service, target)
        return source, target

    def counts(self, service: str) -> dict[str, int]:
        """The wanted numbers of a service by host, as placed so far."""
        return dict(self._counts[service])

    def _add(self, service: str, host: str) -> None:
        self._take(service, host, 1)
        self._counts[service][host] += 1

    def _remove(self, service: str, host: str) -> None:
        self._counts[service][host] -= 1
        self._take(service, host, -1)

    def _take(self, service: str, host: str, sign: int) -> None:
        """Take room of one instance, or give it back, where so many others are wanted."""
        use, size = self._use[host], self._sizes.get(service)
        use.instances += sign
        if size is None:
            return
        use.cpu_percent += sign * size.cpu_percent
        use.memory += sign * size.memory
        if self._counts[service][host] >= self._of(service, host).serving:
            use.coming += sign * size.memory

    def _move_from_lost(self, service: str) -> None:
        """What a lost host had goes to others; without room it stays where it is, as it may come
        back with the host.
        """
        counts = self._counts[service]
        for lost in [host for host in counts if self._is_lost(service, host)]:
            while counts[lost]:
                host = self._next_to_have(service)
                if host is None:
                    return
                self._remove(service, lost)
                self._add(service, host)

    def _is_lost(self, service: str, host: str) -> bool:
        """Whether a host is gone, as far as a service is concerned: instances of it that still
        serve need nobody in their place.
        """
        known = self._hosts.get(host)
        return (known is None or known.lost) and not self._of(service, host).serving

    def _next_to_have(self, service: str) -> str | None:
        """The host for one more; None where none has room for it."""
        fit = [one for one in self._hosts.values() if not one.lost and self._fits(service, one)]

        def rank(one: AppHost) -> tuple[bool, int, float, int, int]:
            return (
                not self._can_have_back(service, one.name),
                self._counts[service][one.name],
                self._share_with(service, one),
                self._use[one.name].instances,
                self._order[one.name],
            )

        return min(fit, key=rank).name if fit else None

    def _next_to_lose(self, service: str) -> str:
        """The host for one less: what does not serve goes first, then what has nothing to do."""
        counts = self._counts[service]

        def rank(host: str) -> tuple[bool, bool, int, bool, float, int]:
            of, known = self._of(service, host), self._hosts.get(host)
            return (
                known is None or known.lost,
                of.failed > 0,
                counts[host],
                of.idle > 0,
                0.0 if known is None else self._share_with(service, known),
                self._order.get(host, 0),
            )

        return max((host for host, count in counts.items() if count), key=rank)

    def _of(self, service: str, host: str) -> Present:
        return self._present.get((service, host), Present())

    def _can_have_back(self, service: str, host: str) -> bool:
        """Whether one more there is one that leaves, as no more are wanted than those that stay."""
        of = self._of(service, host)
        staying = of.serving + of.starting + of.failed
        return of.leaving > 0 and self._counts[service][host] <= staying

    def _fits(self, service: str, host: AppHost) -> bool:
        """Whether the host's free memory is enough for one more, beside those that are to come."""
        free = host.capacity.free_memory_bytes
        return free is None or free - self._use[host.name].coming >= self._sizes[service].memory

    def _share_with(self, service: str, host: AppHost) -> float:
        """The share of a host's cores or memory, the larger one, that its instances may use with
        one more. What the host has not said counts as none.
        """
        use, size = self._use[host.name], self._sizes[service]
        shares = [0.0]
        if host.capacity.cores:
            shares.append((use.cpu_percent + size.cpu_percent) / (_CORE * host.capacity.cores))
        if host.capacity.memory_bytes:
            shares.append((use.memory + size.memory) / host.capacity.memory_bytes)
        return max(shares)
