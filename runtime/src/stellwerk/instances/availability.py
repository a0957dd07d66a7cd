"""Which instances serve, which agents are lost, and when an instance may be stopped. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final

from stellwerk.instances.model import Instance, InstanceKey, Role, Seen, Snapshot, State

SETTLING: Final = timedelta(seconds=5)
"""How long balancers have to say that they take in an instance that became ready; until then what
they said before is not taken for an answer."""


@dataclass(frozen=True)
class Cluster:
    """The ledger at one moment, together with what settings say of balancers and agents."""

    snapshot: Snapshot
    balancers: tuple[str, ...]  # hosts
    balanced: frozenset[str]  # services that have a balancer
    lost_after: timedelta
    refusing: frozenset[tuple[str, str]] = frozenset()
    """Balancer hosts that refuse connections, by service: they serve nobody. Looked up only for
    hosts whose agent is lost."""
    ports: Mapping[str, range] = field(default_factory=dict)  # of services
    followed: timedelta = timedelta.max
    """How long whoever decides has been in touch with the ledger without a break. What it says of
    balancers is from before where that is short."""

    def lost(self, host: str, role: Role) -> bool:
        """Whether the agent has not been heard of for too long, or never."""
        return (host, role) not in self._alive

    def serving(self, service: str) -> tuple[str, ...]:
        """The balancer hosts that send requests to the service, as far as anyone can tell."""
        if service not in self.balanced:
            return ()
        return tuple(
            host
            for host in self.balancers
            if not ((host, service) in self.refusing and self.lost(host, Role.BALANCERS))
        )

    def seen(self, key: InstanceKey, balancer: str) -> Seen | None:
        """How a balancer sees an instance; None: it has said nothing of it yet."""
        return self._seen.get((key, balancer))

    def hindrance(self, instance: Instance) -> str:
        """Why an instance does not serve, as the end of a sentence; empty if it does."""
        if self.lost(instance.host, Role.APPS):
            return f"nothing has been heard from {instance.host}"
        if instance.state is not State.READY:
            return _STATES[instance.state]
        if instance.held:
            return "is held out of rotation"
        return self.missing_rotation(instance)

    def missing_rotation(self, instance: Instance) -> str:
        """Which balancer does not send requests to a ready instance, as the end of a sentence."""
        for balancer in self.serving(instance.key.service):
            seen = self.seen(instance.key, balancer)
            if seen is not Seen.UP:
                return f"is {'not known' if seen is None else seen} at {balancer}"
        return ""

    def serves(self, instance: Instance) -> bool:
        """Whether an instance gets requests from every balancer that serves."""
        return not self.hindrance(instance)

    def last_one(self, instance: Instance) -> bool:
        """Whether a service would be left without any instance if this one went."""
        return self.serves(instance) and not any(
            self.serves(one)
            for one in self.snapshot.of(instance.key.service)
            if one.key != instance.key
        )

    def settling(self, instance: Instance) -> bool:
        """Whether balancers may just be taking an instance in without having said so."""
        return (
            instance.wanted_in_rotation
            and self.snapshot.at - instance.since < SETTLING
            and any(
                self.seen(instance.key, balancer) in (None, Seen.OUT)
                for balancer in self.serving(instance.key.service)
            )
        )

    def keeps_from_stopping(self, instance: Instance, drain_timeout: timedelta) -> str:
        """What a voluntary stop of an instance that leaves has to wait for; empty: nothing.

        The timeout bounds how long requests may take. It does not make up for an agent that is
        lost while its balancer serves on: that one still sends requests.
        """
        overdue = self.snapshot.at - instance.since >= drain_timeout
        for balancer in self.serving(instance.key.service):
            seen = self.seen(instance.key, balancer)
            if seen is Seen.OUT:
                continue
            if self.lost(balancer, Role.BALANCERS):
                return f"waits for the agent of {balancer}, which is lost while its balancer serves"
            if not overdue:
                return f"waits for {balancer} to let go of it"
        return ""

    @cached_property
    def _alive(self) -> frozenset[tuple[str, Role]]:
        since = self.snapshot.at - self.lost_after
        return frozenset(
            (sign.host, sign.role) for sign in self.snapshot.agents if sign.seen_at >= since
        )

    @cached_property
    def _seen(self) -> Mapping[tuple[InstanceKey, str], Seen]:
        return {(one.key, one.balancer): one.seen for one in self.snapshot.sightings}


_STATES: Final = {
    State.STARTING: "is starting",
    State.DRAINING: "is draining",
    State.FAILED: "is failed",
}
