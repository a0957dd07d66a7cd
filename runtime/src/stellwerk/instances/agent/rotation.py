"""Which instances of a service a balancer is to send requests to, and where. No effects."""

import socket
import time
from collections.abc import Callable, Mapping

from stellwerk.instances.model import Instance, InstanceKey, Snapshot, State

Addresses = Mapping[int, str]
"""Addresses of a service's instances by port."""


class Rotation:
    """Decides from the ledger and from what a balancer has in rotation already.

    A ledger that has lost rows, or all of them, must not take a service away: a server without a
    row stays for `patience` seconds, in which its instance's agent enters it again, and as long as
    there is no other. Only instances known to be leaving can empty a backend.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._unknown_since: dict[InstanceKey, float] = {}

    def wanted(self, snapshot: Snapshot, service: str, present: Addresses) -> Addresses:
        """The instances to have in rotation, of a service of which `present` are."""
        rows = {one.key.port: one for one in snapshot.of(service)}
        ready = {port: one.address for port, one in rows.items() if _may_enter(one)}
        unknown = self._unknown(service, present.keys() - rows.keys())
        if ready:
            return {port: present[port] for port, long in unknown.items() if not long} | ready
        stay = {port: one.address for port, one in rows.items() if _may_come_back(one)}
        return {
            port: stay.get(port, address)
            for port, address in present.items()
            if port in stay or port in unknown
        }

    def _unknown(self, service: str, ports: set[int]) -> Mapping[int, bool]:
        """Servers without a row, and whether they have been so for longer than the patience."""
        now = self._clock()
        since = {
            key: noticed
            for key, noticed in self._unknown_since.items()
            if key.service != service or key.port in ports
        }
        for port in ports:
            since.setdefault(InstanceKey(service, port), now)
        self._unknown_since = since
        return {port: now - since[InstanceKey(service, port)] > self._patience for port in ports}


def packed(address: str) -> bytes | None:
    """An address in its one binary form, as IPv6 has many in text; None where it is no address."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        return None


def _may_enter(instance: Instance) -> bool:
    """What a row calls an address becomes part of commands, so nothing else is taken for one."""
    return instance.wanted_in_rotation and packed(instance.address) is not None


def _may_come_back(instance: Instance) -> bool:
    """Whether it is no instance that leaves: one that starts may be about to be ready."""
    starting = instance.state is State.STARTING and not instance.held
    return starting and packed(instance.address) is not None
