"""What all services together may have: decisions are cut to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Final

from stellwerk.scaling.model import Decision, Held, Hold
from stellwerk.settings.scaling import Limits

_CORE: Final = 100.0


@dataclass(frozen=True)
class Size:
    """What one instance of a service may use."""

    cpu_percent: float  # 100 is one core
    memory: int  # bytes


@dataclass
class _Room:
    """What is used of the limits so far."""

    limits: Limits
    instances: int = 0
    cpu_percent: float = 0.0
    memory: int = 0

    def take(self, size: Size, count: int) -> None:
        self.instances += count
        self.cpu_percent += count * size.cpu_percent
        self.memory += count * size.memory

    def full_for(self, size: Size) -> str:
        """Which limit one more instance would break; empty for none."""
        if self.instances + 1 > self.limits.instances:
            return f"{self.limits.instances} instances over all services"
        if self.cpu_percent + size.cpu_percent > self.limits.cpu_cores * _CORE + 1e-9:
            return f"{self.limits.cpu_cores:g} CPU cores over all services"
        if self.memory + size.memory > self.limits.memory:
            return f"{self.limits.memory.text} of memory over all services"
        return ""


def within_limits(
    decisions: Mapping[str, Decision], sizes: Mapping[str, Size], limits: Limits
) -> dict[str, Decision]:
    """The decisions, cut to the limits. What is there is never taken away by them.

    Emergencies are served first, then those that lack the largest share of what they ask for. An
    instance that leaves is still there, so its room is given away at the next judgement.
    """
    room = _Room(limits)
    granted = {name: one.current for name, one in decisions.items()}
    for name, count in granted.items():
        room.take(sizes[name], count)
    cut: dict[str, str] = {}
    waiting = [(_urgency(one, one.current), name) for name, one in decisions.items()]
    heapify(waiting)
    while waiting:
        _, name = heappop(waiting)
        if granted[name] >= decisions[name].desired:
            continue
        if full := room.full_for(sizes[name]):
            cut[name] = full
            continue
        granted[name] += 1
        room.take(sizes[name], 1)
        heappush(waiting, (_urgency(decisions[name], granted[name]), name))
    return {
        name: cut_to(one, granted[name], f"the limit of {cut[name]} allows {granted[name]}")
        if name in cut
        else one
        for name, one in decisions.items()
    }


def utilization(
    counts: Mapping[str, int], sizes: Mapping[str, Size], limits: Limits
) -> dict[str, float]:
    """How much of each limit so many instances by service may use, in percent."""
    room = _Room(limits)
    for name, count in counts.items():
        room.take(sizes[name], count)
    return {
        "instances": 100 * room.instances / limits.instances,
        "cpu": room.cpu_percent / limits.cpu_cores,
        "memory": 100 * room.memory / limits.memory,
    }


def cut_to(decision: Decision, count: int, why: str, by: Hold = Hold.LIMIT) -> Decision:
    """The decision with as many as there was room for; it is remembered as that."""
    state, now = decision.state, decision.at.timestamp()
    earlier = tuple(change for change in state.changes if change.at < now)
    last = [replace(one, after=count) for one in state.changes if one.at >= now]
    made = tuple(last) if count != decision.current else ()
    return replace(
        decision,
        desired=count,
        held=(*decision.held, Held(by, why)),
        state=replace(state, changes=(*earlier, *made)),
        undrain=decision.undrain if count > decision.current else (),
    )


def _urgency(decision: Decision, granted: int) -> tuple[bool, float]:
    return (not decision.in_emergency, granted / max(1, decision.desired))
