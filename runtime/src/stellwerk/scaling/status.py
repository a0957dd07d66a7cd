"""How scaling stands: of each service what it has, is to have and why, and who leads. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from stellwerk.instances.model import Role, Snapshot
from stellwerk.scaling.measures import Look
from stellwerk.scaling.model import CPU, MEMORY, Hold, Phase
from stellwerk.scaling.records import DecisionRow, Findings, Order, ScalerSign
from stellwerk.scaling.scaler.judging import Rulebook
from stellwerk.scaling.scaler.observing import Sight
from stellwerk.settings.files import HostFile

_SAID_OTHERWISE: Final = (Hold.MINIMUM, Hold.MISSING)


@dataclass(frozen=True)
class ServiceStatus:
    """A service. CPU and memory are what its rules see; None where that is not known."""

    name: str
    scaled: bool
    desired: int
    serving: int
    starting: int
    failed: int
    minimum: int
    maximum: int
    cpu_percent: float | None
    memory_percent: float | None
    order: Order | None
    decision: DecisionRow | None  # the last one
    changed: DecisionRow | None  # the last one that changed the number

    @property
    def mode(self) -> str:
        """What its number follows, in a few words."""
        if not self.scaled:
            return "not scaled"
        if self.order is not None:
            return "paused" if self.order.instances is None else f"set to {self.order.instances}"
        if self.decision is not None and self.decision.inputs.get("in_emergency"):
            return "emergency"
        return "by load"

    @property
    def held(self) -> tuple[str, ...]:
        """What keeps a demand from being met, as of the last decision; that there are no fewer than
        the minimum is nothing to be said, and `missing` says what is missing.
        """
        held = self._inputs.get("held", ())
        return tuple(one["text"] for one in held if one["by"] not in _SAID_OTHERWISE)

    @property
    def missing(self) -> tuple[str, ...]:
        """The rules that had no metric at the last decision: nothing is removed meanwhile."""
        return tuple(one["rule"] for one in self._inputs.get("votes", ()) if one["missing"])

    @property
    def _inputs(self) -> Mapping[str, Any]:
        """What the last decision was made from, where the number follows the load."""
        if self.decision is None or self.order is not None or not self.scaled:
            return {}
        return self.decision.inputs


@dataclass(frozen=True)
class Status:
    """All services, and the scalers, at a moment of the ledger's clock. `silent` are the hosts
    whose agents have not been heard of for too long.
    """

    at: datetime
    services: tuple[ServiceStatus, ...]
    scalers: tuple[ScalerSign, ...]
    judged_at: datetime | None
    interval: timedelta
    silent: tuple[str, ...] = ()

    @property
    def leader(self) -> str | None:
        """The host whose scaler leads."""
        return next((one.host for one in self.scalers if one.leads), None)

    @property
    def judgement_is_late(self) -> bool:
        """Whether the last judgement is longer ago than it should be."""
        return self.judged_at is None or self.at - self.judged_at > 3 * self.interval


def status(
    host: HostFile,
    findings: Findings,
    scalers: Sequence[ScalerSign],
    latest: Mapping[str, DecisionRow],
    changes: Mapping[str, DecisionRow],
    only: Iterable[str] = (),
) -> Status:
    """How scaling stands of all services of the ledger, or of those that are named."""
    rulebook = Rulebook.of(host)
    lost_after = timedelta(seconds=host.settings.agent.lost_after_seconds)
    silent = silent_by_clock(findings.snapshot, lost_after)
    members = {(one.name, str(role)) for role in Role for one in host.group(str(role))}
    sight = Sight(rulebook.surroundings, findings, silent)
    known = findings.snapshot.services.keys() & rulebook.policies.keys()
    services = tuple(
        _service(name, rulebook, findings, sight, latest.get(name), changes.get(name))
        for name in sorted(known & set(only) if only else known)
    )
    judged = [at for name, at in findings.judged_at.items() if name in rulebook.judged]
    return Status(
        findings.snapshot.at,
        services,
        tuple(scalers),
        max(judged, default=None),
        rulebook.interval,
        tuple(sorted({name for name, _ in silent & members})),
    )


def silent_by_clock(snapshot: Snapshot, lost_after: timedelta) -> frozenset[tuple[str, str]]:
    """Agents that have not been heard of for so long, by the ledger's clock: good enough to look
    at once.
    """
    return frozenset(
        (one.host, str(Role(one.role)))
        for one in snapshot.agents
        if snapshot.at - one.seen_at > lost_after
    )


def status_document(shown: Status) -> dict[str, Any]:
    """For programs."""
    return {
        "at": shown.at.isoformat(),
        "leader": shown.leader,
        "standing_by": [one.host for one in shown.scalers if not one.leads],
        "judged_at": shown.judged_at and shown.judged_at.isoformat(),
        "silent_agents": list(shown.silent),
        "services": [
            {
                "name": one.name,
                "mode": one.mode,
                "desired": one.desired,
                "serving": one.serving,
                "starting": one.starting,
                "failed": one.failed,
                "minimum": one.minimum,
                "maximum": one.maximum,
                "cpu_percent": one.cpu_percent,
                "memory_percent": one.memory_percent,
                "order": one.order and order_document(one.order),
                "decision": one.decision and decision_document(one.decision),
                "changed_at": one.changed and one.changed.at.isoformat(),
            }
            for one in shown.services
        ],
    }


def order_document(order: Order) -> dict[str, Any]:
    """An order for programs; one without a number is a pause."""
    return {
        "instances": order.instances,
        "until": order.until and order.until.isoformat(),
        "given_by": order.given_by,
        "given_at": order.given_at.isoformat(),
    }


def decision_document(row: DecisionRow) -> dict[str, Any]:
    """A decision for programs."""
    return {
        "at": row.at.isoformat(),
        "service": row.service,
        "before": row.before,
        "after": row.after,
        "sentence": row.sentence,
        **row.inputs,
    }


def _service(
    name: str,
    rulebook: Rulebook,
    findings: Findings,
    sight: Sight,
    latest: DecisionRow | None,
    changed: DecisionRow | None,
) -> ServiceStatus:
    policy, seen = rulebook.policies[name], sight.observations(name)
    look = Look.at(policy, seen, findings.snapshot.at.timestamp())
    return ServiceStatus(
        name=name,
        scaled=name in rulebook.judged,
        desired=seen.desired,
        serving=len(seen.of(Phase.SERVING)),
        starting=len(seen.of(Phase.STARTING)),
        failed=len(seen.of(Phase.FAILED)),
        minimum=policy.minimum,
        maximum=policy.maximum,
        cpu_percent=look.measure(CPU).low,
        memory_percent=look.measure(MEMORY).low,
        order=findings.orders.get(name),
        decision=latest,
        changed=changed,
    )
