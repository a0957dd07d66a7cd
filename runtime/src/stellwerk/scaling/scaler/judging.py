"""One judgement over all services: what is decided, where it goes, what people are told. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from stellwerk.instances.model import Instance, State
from stellwerk.scaling import model
from stellwerk.scaling.decide import decide
from stellwerk.scaling.limits import cut_to, within_limits
from stellwerk.scaling.measures import Look
from stellwerk.scaling.model import Decision, Foresight, Hold, Override, Policy
from stellwerk.scaling.placement import Floorplan
from stellwerk.scaling.policies import policies, sizes
from stellwerk.scaling.records import Findings, Judged, Memory
from stellwerk.scaling.rules import can_spare_one
from stellwerk.scaling.scaler.notices import Kind, Notice
from stellwerk.scaling.scaler.observing import Sight, Surroundings
from stellwerk.settings.files import HostFile
from stellwerk.settings.scaling import Limits
from stellwerk.settings.scaling_policy import ServicePolicy
from stellwerk.terminal.figures import plural, size

_GAP_INTERVALS: Final = 3
"""Without judgements for so many intervals nothing is known of what was demanded meanwhile."""
_LOAD_SECONDS: Final = 60.0
"""Load is that of so many seconds, or of the interval where that is longer."""
_FAULT: Final = "fault"
_HOSTS: Final = "hosts"
"""Keys of troubles beside the kinds of notices and the names of instances."""
_LEFT_ALONE: Final = ServicePolicy(enabled=False)


@dataclass(frozen=True)
class Rulebook:
    """What the settings say. Every service has a policy; `judged` are those that are scaled."""

    policies: Mapping[str, Policy]
    judged: frozenset[str]
    surroundings: Surroundings
    limits: Limits
    interval: timedelta

    @classmethod
    def of(cls, host: HostFile) -> "Rulebook":
        """The rulebook of a cluster, as one of its hosts knows it."""
        settings = host.settings
        scaled = policies(settings)
        others = {
            name: Policy(name, one.min_instances, one.max_instances, _LEFT_ALONE)
            for name, one in settings.services.items()
            if name not in scaled
        }
        return cls(
            policies=others | scaled,
            judged=frozenset(name for name, one in scaled.items() if one.rules.enabled),
            surroundings=Surroundings(
                apps=tuple(one.name for one in host.group("apps")),
                balancers=tuple(one.name for one in host.group("balancers")),
                balanced=frozenset(name for name, one in settings.services.items() if one.balancer),
                checked=frozenset(
                    name for name, one in settings.services.items() if one.balancer == "haproxy"
                ),
                answer_seconds=max(
                    settings.agent.lost_after_seconds, 2 * settings.monitoring.interval_seconds
                ),
                sizes=sizes(settings),
            ),
            limits=settings.scaling.limits,
            interval=timedelta(seconds=settings.scaling.check_interval_seconds),
        )


@dataclass(frozen=True)
class Verdict:
    """What comes of a judgement for one service; `notices` are told once it is written.

    `is_kept`: it is to be recorded also where it changes nothing. `load` is what a scaled service
    uses in all, in percent of a core; None where that is not known. `fault` is what kept it from
    being judged.
    """

    judged: Judged
    decision: Decision
    notices: tuple[Notice, ...] = ()
    is_kept: bool = True
    load: float | None = None
    fault: Exception | None = None

    @property
    def changes(self) -> bool:
        """Whether it wants other numbers than there are."""
        return bool(self.judged.counts)


def judge(
    rulebook: Rulebook,
    findings: Findings,
    silent: Iterable[tuple[str, str]] = (),
    foresights: Mapping[str, Foresight] | None = None,
) -> tuple[Verdict, ...]:
    """Judge all services of the ledger, by its own clock. A service whose judgement fails keeps
    what it has, and the others are judged.

    + silent: agents, by host and role, that have not been heard of for too long
    + foresights: what forecasts say, by service
    """
    return tuple(_Round(rulebook, findings, frozenset(silent), foresights or {}).verdicts())


@dataclass
class _Round:
    """One judgement in the making."""

    rulebook: Rulebook
    findings: Findings
    silent: frozenset[tuple[str, str]]
    foresights: Mapping[str, Foresight]
    decisions: dict[str, Decision] = field(default_factory=dict)
    faults: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = self.findings.snapshot.at
        self.sight = Sight(self.rulebook.surroundings, self.findings, self.silent)
        self.hosts = self.sight.hosts()
        self.all_lost = bool(self.hosts) and all(one.lost for one in self.hosts)

    def verdicts(self) -> Iterator[Verdict]:
        sizes = self.rulebook.surroundings.sizes
        decided = {name: self._decide(name) for name in self._names()}
        self.decisions = within_limits(decided, sizes, self.rulebook.limits)
        idle = [name for one in self.decisions.values() for name in one.candidates]
        plan = Floorplan(
            self.hosts,
            sizes,
            self.findings.snapshot.desired,
            self.sight.present(idle),
        )
        for name in sorted(self.decisions, key=self._turn):
            yield self._isolated(name, plan)

    def _names(self) -> list[str]:
        return sorted(self.findings.snapshot.services.keys() & self.rulebook.policies.keys())

    def _turn(self, name: str) -> tuple[bool, bool, str]:
        """Who is placed first: what gives room away, then emergencies."""
        decision = self.decisions[name]
        return (decision.desired >= decision.current, not decision.in_emergency, name)

    def _decide(self, name: str) -> Decision:
        foresight = self.foresights.get(name)
        prediction = foresight.prediction if foresight else None
        try:
            seen = replace(self.sight.observations(name), prediction=prediction)
            return decide(self.rulebook.policies[name], seen, self._state(name), self.at)
        except Exception as error:  # the others are to be judged
            return self._left_alone(name, error)

    def _isolated(self, name: str, plan: Floorplan) -> Verdict:
        try:
            return replace(self._verdict(name, plan), load=self._load(name))
        except Exception as error:  # as above
            self.decisions[name] = self._left_alone(name, error)
            return self._verdict(name, plan)

    def _load(self, name: str) -> float | None:
        if name not in self.rulebook.judged:
            return None
        seconds = max(_LOAD_SECONDS, self.rulebook.interval.total_seconds())
        return self.sight.load(name, seconds)

    def _left_alone(self, name: str, error: Exception) -> Decision:
        """What stands in place of a decision that could not be made."""
        self.faults[name] = error
        count = sum(self.sight.desired(name).values())
        return Decision(
            service=name,
            at=self.at,
            current=count,
            desired=count,
            demanded=count,
            cause=f"it cannot be judged ({type(error).__name__}: {' '.join(str(error).split())})",
            votes=(),
            held=(),
            state=self._memory(name).state,
            serving=0,
            starting=0,
        )

    def _state(self, name: str) -> model.State:
        """What is remembered, with what operators want. After a time without judgements the present
        number is the first recommendation again.
        """
        state = self._memory(name).state
        order = self.findings.orders.get(name)
        before = self.findings.judged_at.get(name)
        if before is None or self.at - before > _GAP_INTERVALS * self.rulebook.interval:
            state = replace(state, recommendations=())
        if order is None or not order.holds(self.at):
            return state
        if order.instances is None or order.until is None:
            return replace(state, paused=True)
        return replace(state, override=Override(order.instances, order.until.timestamp()))

    def _memory(self, name: str) -> Memory:
        return self.findings.memories.get(name, Memory())

    def _verdict(self, name: str, plan: Floorplan) -> Verdict:
        before, policy = self.sight.desired(name), self.rulebook.policies[name]
        decision, after, moved = self._placed(name, plan)
        troubles = dict(self._troubles(name, decision))
        judged = Judged(
            service=name,
            at=self.at,
            before=decision.current,
            after=decision.desired,
            sentence=f"{decision.sentence} {moved}".rstrip(),
            inputs=_inputs(decision, before, after, self.foresights.get(name)),
            bounds=(policy.minimum, policy.maximum),
            memory=Memory(_own(decision.state), frozenset(troubles)),
            counts_before=before,
            counts={host: count for host, count in after.items() if count != before.get(host, 0)},
        )
        standing = self._memory(name).standing
        told = tuple(one for key, one in troubles.items() if one and key not in standing)
        # Who has been told of what is remembered also of services that nobody scales.
        return Verdict(
            judged,
            decision,
            (*self._actions(judged, decision), *told),
            is_kept=name in self.rulebook.judged or judged.memory.standing != standing,
            fault=self.faults.get(name),
        )

    def _placed(self, name: str, plan: Floorplan) -> tuple[Decision, Mapping[str, int], str]:
        """The decision with as many as there is room for, the numbers by host, and in words what
        goes to another host.
        """
        decision, before = self.decisions[name], self.sight.desired(name)
        if decision.state.paused or name in self.faults:
            return decision, before, ""  # an operator wants its instances where they are
        if self.all_lost:
            return self._without_hosts(decision), before, ""
        placement = plan.place(name, decision.desired)
        if placement.unplaced:
            decision = self._without_room(decision, placement.unplaced)
        moved = _moved(decision, before, placement.counts)
        if evened := self._evened(name, decision, plan):
            moved = f"One goes from {evened[0]}, which has the most, to {evened[1]}."
        return decision, plan.counts(name), moved

    def _evened(self, name: str, decision: Decision, plan: Floorplan) -> tuple[str, str] | None:
        """From where to where an instance goes, as a host came back or is new: only in calm, when
        all serve and the load allows one less for a while.
        """
        at_rest = decision.desired == decision.current == decision.serving
        free = name in self.rulebook.judged and name not in self.findings.orders
        if not at_rest or not free or decision.in_emergency:
            return None
        policy, seen = self.rulebook.policies[name], self.sight.observations(name)
        if not can_spare_one(Look.at(policy, seen, self.at.timestamp())):
            return None
        return plan.even_out(name)

    def _without_room(self, decision: Decision, unplaced: int) -> Decision:
        memory = self.rulebook.surroundings.sizes[decision.service].memory
        count = decision.desired - unplaced
        return cut_to(
            decision, count, f"no app host has {size(memory)} of memory free for more than {count}"
        )

    def _without_hosts(self, decision: Decision) -> Decision:
        """The same where somebody could bring it about, else as many as there are."""
        if decision.desired == decision.current:
            return decision
        return cut_to(decision, decision.current, "no app host is heard of", Hold.NO_HOST)

    # What people are told.

    def _actions(self, judged: Judged, decision: Decision) -> Iterator[Notice]:
        if judged.counts:
            yield self._notice(Kind.ACTION, decision, judged.sentence)
        if decision.escalate:
            notice = self._notice(Kind.EMERGENCY, decision, decision.sentence)
            yield replace(notice, escalated=True)

    def _troubles(self, name: str, decision: Decision) -> Iterator[tuple[str, Notice | None]]:
        """What stands, by a key: people are told when it begins. None where they were."""
        if decision.in_emergency:
            text = f"{name} is in an emergency. {decision.sentence}"
            yield Kind.EMERGENCY, self._notice(Kind.EMERGENCY, decision, text)
        if decision.held_by(Hold.LIMIT):
            yield Kind.LIMIT, self._notice(Kind.LIMIT, decision, decision.sentence)
        if name in self.faults:
            yield _FAULT, self._notice(Kind.FAILURE, decision, decision.sentence)
        if self.all_lost and name in self.rulebook.judged:
            text = f"{name} stays as it is: no app host is heard of"
            yield _HOSTS, self._notice(Kind.FAILURE, decision, text)
        for one in self.sight.instances(name, State.FAILED):
            yield str(one.key), self._notice(Kind.FAILURE, decision, _failure(one))
        # One that is tried again has not recovered yet.
        for one in self.sight.instances(name, State.STARTING):
            if str(one.key) in self._memory(name).standing:
                yield str(one.key), None

    def _notice(self, kind: Kind, decision: Decision, text: str) -> Notice:
        return Notice(kind, decision.service, self.at, text)


def _own(state: model.State) -> model.State:
    """Without what operators want, which is kept as their orders."""
    return replace(state, paused=False, override=None)


def _failure(instance: Instance) -> str:
    why = f": {instance.reason}" if instance.reason else ""
    return f"{instance.key} on {instance.host} has failed{why}"


def _moved(decision: Decision, before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Instances that go to other hosts for no change of the number, in words."""
    gone = {host: n - after.get(host, 0) for host, n in before.items() if n > after.get(host, 0)}
    if decision.desired < decision.current or not gone:
        return ""
    lost = " and ".join(
        f"{plural(count, 'instance')} of {host}" for host, count in sorted(gone.items())
    )
    where = ", ".join(sorted(host for host, count in after.items() if count > before.get(host, 0)))
    return f"{lost}, which is not heard of, made up for on {where}."


def _inputs(
    decision: Decision,
    before: Mapping[str, int],
    after: Mapping[str, int],
    foresight: Foresight | None,
) -> dict[str, Any]:
    return {
        "cause": decision.cause,
        "demanded": decision.demanded,
        "serving": decision.serving,
        "starting": decision.starting,
        "in_emergency": decision.in_emergency,
        "held": [{"by": str(one.by), "text": one.text} for one in decision.held],
        "votes": [
            {
                "rule": one.rule,
                "direction": str(one.direction),
                "count": one.count,
                "value": one.value,
                "text": one.text,
                "missing": one.missing,
            }
            for one in decision.votes
        ],
        "forecast": foresight and asdict(foresight),
        "hosts_before": dict(before),
        "hosts": dict(after),
    }
