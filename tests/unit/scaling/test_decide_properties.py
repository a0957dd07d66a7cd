"""What holds of every decision, whatever is observed."""

import math
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import Change, Observations, Phase, Policy, Reading, State
from stellwerk.scaling.series import Series
from stellwerk.settings.scaling_policy import Rate, Rates, Rule, Target
from tests.unit.scaling.services import MEMORY_RULE, NOW, policy

SECOND = NOW.timestamp()
VALUES = st.one_of(st.floats(0, 200), st.just(math.nan), st.just(math.inf))


@st.composite
def series(draw: st.DrawFn) -> Series:
    ages = sorted(draw(st.lists(st.integers(-60, 1000), max_size=6)), reverse=True)
    return Series([SECOND - age for age in ages], [draw(VALUES) for _ in ages])


@st.composite
def readings(draw: st.DrawFn, number: int) -> Reading:
    names = ("cpu_percent", "memory_percent", "queue_length", "error_rate")
    return Reading(
        f"shop@{number}",
        draw(st.sampled_from(Phase)),
        draw(st.none() | st.floats(SECOND - 5000, SECOND + 100)),
        {name: draw(series()) for name in names if draw(st.booleans())},
    )


@st.composite
def observations(draw: st.DrawFn) -> Observations:
    count = draw(st.integers(0, 6))
    return Observations(
        draw(st.integers(0, 20)),
        tuple(draw(readings(number)) for number in range(count)),
        {"requests": draw(series())} if draw(st.booleans()) else {},
    )


@st.composite
def rules(draw: st.DrawFn) -> Policy:
    minimum = draw(st.integers(1, 4))
    target = Target(value=50, burst_seconds=draw(st.none() | st.just(60)))
    return policy(
        minimum,
        minimum + draw(st.integers(0, 12)),
        memory_percent=draw(st.none() | st.just(MEMORY_RULE)),
        rules={"requests": Rule(up_above=100)} if draw(st.booleans()) else {},
        targets={"queue_length": target} if draw(st.booleans()) else {},
        cooldown_up_seconds=draw(st.integers(0, 600)),
        stabilization_down_seconds=draw(st.integers(0, 600)),
        rates_up=draw(st.sampled_from([Rates(), Rates(limits=[Rate(percent=50, seconds=60)])])),
    )


@st.composite
def states(draw: st.DrawFn) -> State:
    ages = sorted(draw(st.lists(st.floats(-1000, 4000), max_size=4)), reverse=True)
    counts = st.integers(0, 20)
    return State(
        recommendations=tuple((SECOND - age, draw(counts)) for age in ages),
        changes=tuple(Change(SECOND - age, draw(counts), draw(counts)) for age in ages),
    )


@given(rules(), observations(), states())
def test_every_decision_stays_within_bounds_and_explains_itself(
    of: Policy, seen: Observations, state: State
) -> None:
    decision = decide(of, seen, state, NOW)
    most = max(of.maximum, of.emergency.max_instances if decision.in_emergency else 0)
    if seen.desired:
        assert of.minimum <= decision.desired <= most
    assert decision.cause
    assert decision.sentence.endswith(".")
    assert decision.desired == decision.current or decision.state.changes


@given(rules(), observations(), states())
def test_a_decision_follows_from_its_inputs_alone(
    of: Policy, seen: Observations, state: State
) -> None:
    assert decide(of, seen, state, NOW) == decide(of, seen, state, NOW)


@given(rules(), observations(), states())
def test_nothing_is_removed_within_bounds_while_a_metric_is_missing(
    of: Policy, seen: Observations, state: State
) -> None:
    decision = decide(of, seen, state, NOW)
    if any(vote.missing for vote in decision.votes) and seen.desired <= of.maximum:
        assert decision.desired >= seen.desired


@given(rules(), observations(), states())
def test_memory_does_not_grow_with_time(of: Policy, seen: Observations, state: State) -> None:
    for minute in range(40):
        state = decide(of, seen, state, NOW + timedelta(minutes=minute)).state
    assert len(state.recommendations) <= 12
    assert len(state.changes) <= 45
