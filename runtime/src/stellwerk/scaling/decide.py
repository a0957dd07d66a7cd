"""The decision for one service: `decide` is pure, and daemon, simulation and tests use it alike.

What holds over all services is in `limits`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from stellwerk.scaling import emergency, history
from stellwerk.scaling.idle import idle_instances
from stellwerk.scaling.measures import Look
from stellwerk.scaling.model import (
    Change,
    Decision,
    Direction,
    Held,
    Hold,
    Observations,
    Phase,
    Policy,
    State,
    Vote,
)
from stellwerk.scaling.rules import band_votes, target_vote, threshold_vote, thresholds
from stellwerk.scaling.schedule import Floor, floor_at
from stellwerk.scaling.votes import winner

_DAY: Final = 86400.0


def decide(policy: Policy, observations: Observations, state: State, now: datetime) -> Decision:
    """How many instances a service is to have, why, and what is to be remembered of it.

    `now` has a time zone.
    """
    return _Judgement(policy, observations, state, now).decision()


@dataclass
class _Judgement:
    """One decision in the making: `count` is what is left of the demand so far."""

    policy: Policy
    seen: Observations
    before: State
    at: datetime
    count: int = 0
    cause: str = ""
    held: list[Held] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.at.timestamp()
        self.state = self.before.not_after(self.now)
        self.look = Look.at(self.policy, self.seen, self.now)
        self.current = self.count = self.seen.desired
        self.candidates: tuple[str, ...] = ()

    def decision(self) -> Decision:
        if not self.policy.rules.enabled:
            return self._left_alone(Hold.SWITCHED_OFF, "the settings leave its number alone")
        if self.current == 0 and self.policy.minimum > 0:
            return self._left_alone(Hold.SWITCHED_OFF, "an operator has set it to 0")
        if self.state.paused:
            return self._left_alone(Hold.PAUSED, "an operator has paused its scaling")
        if self.state.override and self.now < self.state.override.until:
            return self._overridden(self.state.override.instances)
        return self._judged()

    def _left_alone(self, hold: Hold, text: str) -> Decision:
        self.cause = text
        return self._decided(self.current, self._unjudged(), (Held(hold, str(hold)),))

    def _overridden(self, instances: int) -> Decision:
        most = max(self.policy.maximum, self.policy.emergency.max_instances)
        self.count = min(instances, most)
        left = (self.state.override.until if self.state.override else self.now) - self.now
        self.cause = f"an operator has set it to {instances} for another {left / 60:.0f} min"
        raised = self.count if self.count > self.policy.maximum else None
        state = replace(self._unjudged(), raised_maximum=raised)
        return self._decided(instances, self._with_change(state, by_rules=False))

    def _unjudged(self) -> State:
        """What was demanded before says nothing any more once the rules decide again: the number
        there is then is the first recommendation.
        """
        return replace(self.state, recommendations=())

    def _judged(self) -> Decision:
        self._vote()
        demand = self._demand()
        recommended = self._recommended(demand)
        alarm = emergency.alarm(self.look, self.state.emergency)
        self.count = recommended
        self.cause = self._reason(demand) if demand else self._calm()
        floor = self._floor()
        if self.count < self.current <= floor.instances:
            self._hold(Hold.MINIMUM, f"{floor.instances} is {floor.reason}")
        self._stabilize(urgent=bool(demand and demand.urgent))
        if self.count > self.current:
            self._restrain_rise(urgent=bool(demand and demand.urgent))
        elif self.count < self.current:
            self._restrain_fall(alarm)
        by_rules = self.count != self.current
        ceiling = self._raise_for(alarm)
        demanded = max(recommended, floor.instances, alarm.wanted if alarm else 0)
        self._bound(floor, ceiling, recommended)
        state = self._remember(recommended, floor, alarm, by_rules=by_rules)
        return replace(
            self._decided(demanded, state),
            in_emergency=alarm is not None,
            escalate=bool(alarm and alarm.escalate),
        )

    def _vote(self) -> None:
        look, boost = self.look, self.state.boost
        self.votes = [threshold_vote(look, name, rule, boost) for name, rule in thresholds(look)]
        bursts = []
        for name, target in self.policy.rules.targets.items():
            vote, burst = target_vote(look, name, target, self.state)
            self.votes.append(vote)
            if burst is not None:
                bursts.append((name, burst))
        self.state = (
            replace(self.state, bursts=tuple(bursts)) if bursts or self.state.bursts else self.state
        )
        self.votes += band_votes(look)
        silent = bool(self.votes) and all(vote.value is None for vote in self.votes)
        failures = self.state.failures + 1 if silent else 0
        if failures != self.state.failures:
            self.state = replace(self.state, failures=failures)

    def _demand(self) -> Vote | None:
        """What the rules ask for together; None where they want no change."""
        said = winner(vote for vote in self.votes if not vote.abstains and not vote.missing)
        self.candidates = idle_instances(self.look)
        if said is None or said.direction is Direction.NONE:
            return self._idle_vote()
        return said

    def _recommended(self, demand: Vote | None) -> int:
        """What is asked for; no less than there is while a rule's metric is missing."""
        if demand is None:
            return self.current
        missing = [vote.rule for vote in self.votes if vote.missing]
        if demand.direction is Direction.DOWN and missing:
            self._hold(Hold.MISSING, f"{', '.join(missing)} is not known")
            return self.current
        return demand.count

    def _idle_vote(self) -> Vote | None:
        if not self.candidates:
            return None
        count = max(0, self.current - min(self.policy.rules.step_down, len(self.candidates)))
        idle = self.policy.idle.for_seconds
        text = f"{', '.join(self.candidates)} had next to nothing to do for {idle} s"
        return Vote("idle", Direction.DOWN, count, None, text)

    def _reason(self, demand: Vote) -> str:
        """One rule is reason enough for more; fewer are what all of them together ask for."""
        if demand.direction is Direction.UP or demand not in self.votes:
            return demand.text
        return " and ".join(
            vote.text
            for vote in self.votes
            if vote.direction is Direction.DOWN and not vote.abstains and not vote.missing
        )

    def _calm(self) -> str:
        if not self.votes:
            return "it has no rules"
        return "no rule asks for a change (" + "; ".join(vote.text for vote in self.votes) + ")"

    # What holds a demand back, one after the other.

    def _hold(self, by: Hold, text: str, count: int | None = None) -> None:
        self.held.append(Held(by, text))
        self.count = self.current if count is None else count

    def _down_wait(self) -> float:
        rules = self.policy.rules
        regrets = sum(self.now - at < _DAY for at in self.state.regrets)
        return history.wait_after_regrets(
            rules.stabilization_down_seconds, rules.regret_factor, regrets
        )

    def _stabilize(self, *, urgent: bool) -> None:
        wait = self._down_wait()
        up_seconds = 0 if urgent else self.policy.rules.stabilization_up_seconds
        earlier = self.state.recommendations or ((self.now, self.current),)
        count = history.stabilized(
            self.current, self.count, earlier, self.now, up_seconds=up_seconds, down_seconds=wait
        )
        if count == self.count:
            return
        if self.count < self.current:
            text = f"fewer have been enough for less than {wait:.0f} s"
        else:
            text = f"more have been needed for less than {up_seconds:.0f} s"
        self._hold(Hold.STABILIZATION, text, count)

    def _restrain_rise(self, *, urgent: bool) -> None:
        rules, changes = self.policy.rules, self.state.changes
        left = history.rest_left(self.now, history.last_up(changes), rules.cooldown_up_seconds)
        if left > 0 and not urgent:
            self._hold(Hold.COOLDOWN, f"{left:.0f} s of the rest after an addition are left")
            return
        limit = history.upper_limit(self.current, rules.rates_up, changes, self.now)
        if self.count > limit:
            self._hold(Hold.RATE, f"the rate of additions allows {limit:.0f}", int(limit))

    def _restrain_fall(self, alarm: emergency.Alarm | None) -> None:
        restraints: tuple[Callable[[], None], ...] = (
            self._keep_while_unhealthy,
            self._keep_while_resting,
            self._keep_to_rate,
            self._keep_to_projection,
        )
        if alarm is not None:
            self._hold(Hold.EMERGENCY, f"nothing is removed as {alarm.text}")
        for restrain in restraints:
            if self.count < self.current:
                restrain()

    def _keep_while_unhealthy(self) -> None:
        serving, percent = len(self.look.serving), self.policy.rules.healthy_percent
        if not history.healthy_enough(self.current, serving, percent):
            self._hold(
                Hold.UNHEALTHY,
                f"only {serving} of {self.current} serve, fewer than {percent:g} %",
            )

    def _keep_while_resting(self) -> None:
        last = history.last_change(self.state.changes)
        left = history.rest_left(self.now, last, self.policy.rules.cooldown_down_seconds)
        if left > 0:
            self._hold(Hold.COOLDOWN, f"{left:.0f} s of the rest after a change are left")

    def _keep_to_rate(self) -> None:
        rates = self.policy.rules.rates_down
        limit = history.lower_limit(self.current, rates, self.state.changes, self.now)
        if self.count < limit:
            self._hold(Hold.RATE, f"the rate of removals allows {limit}", limit)

    def _keep_to_projection(self) -> None:
        for metric, rule in thresholds(self.look):
            measure = self.look.measure(metric, rule.across)
            if measure.high is None or not measure.instances:
                continue
            wanted = self.current - self.count
            allowed = history.removable(measure.high, measure.instances, wanted, rule.up_above)
            if allowed < wanted:
                after = history.projected(
                    measure.high, measure.instances, measure.instances - wanted
                )
                self._hold(
                    Hold.PROJECTION,
                    f"{metric} would become {after:.4g}, not below {rule.up_above:g}",
                    self.current - allowed,
                )

    # What bounds it.

    def _raise_for(self, alarm: emergency.Alarm | None) -> int:
        """Add for an emergency, and return the most instances there may be."""
        raised = self.state.raised_maximum or 0
        ceiling = max(self.policy.maximum, min(raised, self.current))
        if alarm is not None and alarm.wanted > max(self.count, self.current):
            self.count = alarm.wanted
            self.cause = alarm.text
            ceiling = max(ceiling, alarm.wanted)
        return ceiling

    def _floor(self) -> Floor:
        floor = floor_at(self.policy, self.at, self.state.windows)
        predicted, fallback = self.seen.prediction, self.policy.rules.fallback
        if predicted and self._predicted() > floor.instances:
            floor = replace(floor, instances=self._predicted(), reason=predicted.reason)
        if fallback and self.state.failures > fallback.after_failures:
            least = min(fallback.instances, self.policy.maximum)
            if least > floor.instances:
                reason = f"its fallback, as {self.state.failures} judgements had no metric"
                floor = replace(floor, instances=least, reason=reason)
        return floor

    def _predicted(self) -> int:
        """What a forecast asks for, within the maximum."""
        predicted = self.seen.prediction
        return min(predicted.instances, self.policy.maximum) if predicted else 0

    def _bound(self, floor: Floor, ceiling: int, recommended: int) -> None:
        if self.count < floor.instances:
            if self.current < floor.instances:
                # What held the rules back is of no matter where the number has to rise.
                self.cause = f"{floor.instances} is {floor.reason}"
                self.held.clear()
            else:
                self.held.append(Held(Hold.MINIMUM, f"{floor.instances} is {floor.reason}"))
            self.count = floor.instances
        elif self.count > ceiling:
            if recommended <= ceiling:
                self.cause = f"{ceiling} is its maximum"
            else:
                self.held.append(Held(Hold.MAXIMUM, f"{ceiling} is its maximum"))
            self.count = ceiling

    # What is remembered of it.

    def _remember(
        self,
        recommended: int,
        floor: Floor,
        alarm: emergency.Alarm | None,
        *,
        by_rules: bool,
    ) -> State:
        rules, state = self.policy.rules, self.state
        keep = max(self._down_wait(), rules.stabilization_up_seconds)
        first = state.recommendations or ((self.now, self.current),)
        # What a forecast asked for is let go like any demand, not the moment it asks for less.
        recommended = max(recommended, self._predicted())
        stands = alarm.state if alarm else None
        if alarm and alarm.wanted and self.count == alarm.wanted > self.current:
            stands = emergency.stepped(alarm.state, self.now)
        state = replace(
            state,
            recommendations=history.remembered(first, self.now, recommended, keep),
            windows=floor.windows,
            emergency=stands,
            raised_maximum=self.count if self.count > self.policy.maximum else None,
            regrets=self._regrets(by_rules=by_rules),
        )
        return self._with_change(state, by_rules=by_rules)

    def _regrets(self, *, by_rules: bool) -> tuple[float, ...]:
        regrets = tuple(at for at in self.state.regrets if self.now - at < _DAY)
        if not by_rules or self.count <= self.current:
            return regrets
        removed = max((one.at for one in self.state.changes if one.amount < 0), default=None)
        if removed is None or self.now - removed >= self.policy.rules.regret_seconds:
            return regrets
        # One removal is regretted once, however many additions follow it.
        return regrets if any(at > removed for at in regrets) else (*regrets, self.now)

    def _with_change(self, state: State, *, by_rules: bool) -> State:
        changes = tuple(one for one in state.changes if self.now - one.at < _DAY)
        if self.count != self.current:
            changes = (*changes, Change(self.now, self.current, self.count, by_rules))
        return state if changes == state.changes else replace(state, changes=changes)

    def _decided(
        self, demanded: int, state: State, held: tuple[Held, ...] | None = None
    ) -> Decision:
        leaving = [one.name for one in self.seen.of(Phase.DRAINING)]
        wanted_again = max(0, self.count - len(self.look.serving) - len(self.look.starting))
        return Decision(
            service=self.policy.service,
            at=self.at,
            current=self.current,
            desired=self.count,
            demanded=demanded,
            cause=self.cause,
            votes=tuple(self.votes),
            held=tuple(self.held) if held is None else held,
            state=state,
            serving=len(self.look.serving),
            starting=len(self.look.starting),
            candidates=self.candidates,
            undrain=tuple(leaving[:wanted_again]) if self.count > self.current else (),
        )
