"""On which app hosts instances are added and removed. Pure.

A service is spread over the hosts first, so that the loss of one costs it little; among hosts that
have as many of it, the one with the most cores and memory to spare comes first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stellwerk.instances.store import Capacity
from stellwerk.scaling.limits import Size

_CORE = 100.0


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
        self._desired = Counter(desired)
        self._present = present

    def place(self, service: str, total: int) -> Placement:
        """Have so many instances of a service, with as few changes as that takes."""
        unplaced = 0
        self._move_from_lost(service)
        while self._total(service) < total:
            host = self._next_to_have(service)
            if host is None:
                unplaced = total - self._total(service)
                break
            self._desired[service, host] += 1
        while self._total(service) > total:
            self._desired[service, self._next_to_lose(service)] -= 1
        return Placement(self._counts(service), unplaced)

    def _counts(self, service: str) -> dict[str, int]:
        return {host: count for (of, host), count in self._desired.items() if of == service}

    def _total(self, service: str) -> int:
        return sum(self._counts(service).values())

    def _move_from_lost(self, service: str) -> None:
        """What a lost host had goes to others; without room it stays where it is, as it may come
        back with the host.
        """
        for lost in [host for host in self._counts(service) if self._is_lost(service, host)]:
            while self._desired[service, lost]:
                host = self._next_to_have(service)
                if host is None:
                    return
                self._desired[service, lost] -= 1
                self._desired[service, host] += 1

    def _is_lost(self, service: str, host: str) -> bool:
        """Whether a host is gone, as far as a service is concerned: instances of it that still
        serve need nobody in their place.
        """
        known = self._hosts.get(host)
        return (known is None or known.lost) and not self._of(service, host).serving

    def _next_to_have(self, service: str) -> str | None:
        """The host for one more; None where none has room for it."""
        fit = [one for one in self._hosts.values() if not one.lost and self._fits(service, one)]
        if not fit:
            return None

        def rank(one: AppHost) -> tuple[bool, int, float, int, int]:
            count = self._desired[service, one.name]
            recallable = self._of(service, one.name).leaving > 0 and not self._grew(service, one)
            return (
                not recallable,
                count,
                self._share_with(service, one),
                self._instances_on(one.name),
                self._order[one.name],
            )

        return min(fit, key=rank).name

    def _grew(self, service: str, host: AppHost) -> bool:
        """Whether more are wanted of a service on a host than there are that stay."""
        of = self._of(service, host.name)
        return self._desired[service, host.name] > of.serving + of.starting + of.failed

    def _next_to_lose(self, service: str) -> str:
        """The host for one less: what does not serve goes first, then what has nothing to do."""

        def rank(host: str) -> tuple[bool, bool, int, bool, float, int]:
            of, known = self._of(service, host), self._hosts.get(host)
            return (
                known is None or known.lost,
                of.failed > 0,
                self._desired[service, host],
                of.idle > 0,
                0.0 if known is None else self._share_with(service, known),
                self._order.get(host, 0),
            )

        return max((host for host, count in self._counts(service).items() if count), key=rank)

    def _of(self, service: str, host: str) -> Present:
        return self._present.get((service, host), Present())

    def _fits(self, service: str, host: AppHost) -> bool:
        """Whether the host's free memory is enough for one more, beside those that are to come."""
        free = host.capacity.free_memory_bytes
        if free is None:
            return True
        coming = sum(
            self._sizes[of].memory * self._coming(of, host.name)
            for of, on in self._desired
            if on == host.name and of in self._sizes
        )
        return free - coming >= self._sizes[service].memory

    def _coming(self, service: str, host: str) -> int:
        """How many more there will be than use memory already."""
        of = self._of(service, host)
        return max(0, self._desired[service, host] - of.serving)

    def _instances_on(self, host: str) -> int:
        return sum(count for (_, on), count in self._desired.items() if on == host)

    def _share_with(self, service: str, host: AppHost) -> float:
        """The share of a host's cores or memory, the larger one, that its instances may use with
        one more. What the host has not said counts as none.
        """
        cpu, memory = self._sizes[service].cpu_percent, float(self._sizes[service].memory)
        for (of, on), count in self._desired.items():
            if on == host.name and of in self._sizes:
                cpu += count * self._sizes[of].cpu_percent
                memory += count * self._sizes[of].memory
        shares = [0.0]
        if host.capacity.cores:
            shares.append(cpu / (_CORE * host.capacity.cores))
        if host.capacity.memory_bytes:
            shares.append(memory / host.capacity.memory_bytes)
        return max(shares)
