"""What is decided for one service, and how the decision explains itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import (
    Boost,
    Change,
    Direction,
    Hold,
    Observations,
    Override,
    Phase,
    Prediction,
    State,
)
from stellwerk.scaling.series import Series
from stellwerk.settings.scaling import Emergency, Schedule, Window
from stellwerk.settings.scaling_policy import Fallback, Rate, Rates, Rule, Target
from tests.unit.scaling.services import (
    MEMORY_RULE,
    NOW,
    observed,
    policy,
    reading,
    run,
    steady,
    with_instances,
)

SECOND = NOW.timestamp()


def changed(seconds_ago: float, before: int, after: int) -> State:
    """A state after one change, with no recommendation that would hold anything back."""
    return State(
        recommendations=((SECOND - 1e6, 0),),
        changes=(Change(SECOND - seconds_ago, before, after),),
    )


def settled(recommended: int) -> State:
    """A state in which less has been demanded for long."""
    return State(recommendations=((SECOND - 60, recommended),))


def test_one_is_added_above_the_threshold() -> None:
    decision = decide(policy(), observed(71), State(), NOW)
    assert decision.desired == 3
    assert decision.direction is Direction.UP
    assert decision.sentence == (
        "shop goes from 2 to 3: cpu_percent averaged 71 over 300 s, above 70."
    )


def test_a_removal_names_every_rule_that_allows_it() -> None:
    rules = policy(memory_percent=MEMORY_RULE)
    seen = Observations(4, tuple(reading(n, cpu_percent=20, memory_percent=25) for n in range(4)))
    assert decide(rules, seen, settled(3), NOW).cause == (
        "cpu_percent averaged 20 over 300 s, below 30"
        " and memory_percent averaged 25 over 300 s, below 40"
    )


def test_one_is_removed_below_the_threshold() -> None:
    decision = decide(policy(), observed(20, 4), settled(3), NOW)
    assert decision.desired == 3


@pytest.mark.parametrize("cpu", [30, 50, 70])
def test_nothing_happens_between_the_thresholds(cpu: float) -> None:
    decision = decide(policy(), observed(cpu, 4), settled(4), NOW)
    assert decision.direction is Direction.NONE
    assert "no rule asks for a change" in decision.sentence


def test_one_rule_is_enough_to_add() -> None:
    rules = policy(memory_percent=MEMORY_RULE)
    assert decide(rules, observed(10, memory_percent=81), State(), NOW).desired == 3


def test_all_rules_have_to_agree_to_remove() -> None:
    rules = policy(memory_percent=MEMORY_RULE)
    held = decide(rules, observed(10, 4, memory_percent=50), settled(3), NOW)
    agreed = decide(rules, observed(10, 4, memory_percent=20), settled(3), NOW)
    assert (held.desired, agreed.desired) == (4, 3)


def test_a_rule_without_lower_threshold_neither_asks_for_less_nor_prevents_it() -> None:
    own = policy(rules={"requests_per_second": Rule(up_above=500)})
    seen = observed(10, 4, service={"requests_per_second": 20})
    assert decide(own, seen, settled(3), NOW).desired == 3


def test_a_service_s_own_metric_adds() -> None:
    own = policy(rules={"queue_length": Rule(up_above=100, across="sum")})
    assert decide(own, observed(50, queue_length=60), State(), NOW).desired == 3
    assert decide(own, observed(50, queue_length=40), State(), NOW).desired == 2


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_nothing_is_removed_while_a_metric_is_unknown(value: float | None) -> None:
    rules = policy(memory_percent=MEMORY_RULE)
    decision = decide(rules, observed(10, 4, memory_percent=value), settled(3), NOW)
    assert decision.desired == 4
    assert decision.held_by(Hold.MISSING)


def test_nothing_is_removed_while_one_instance_is_silent() -> None:
    seen = with_instances(observed(10, 3, desired=4), [reading(4, cpu_percent=None)])
    assert decide(policy(), seen, settled(3), NOW).desired == 4


def test_a_metric_that_has_become_old_is_unknown() -> None:
    late = NOW + timedelta(seconds=200)
    state = State(recommendations=((late.timestamp() - 60, 3),))
    decision = decide(policy(), observed(10, 4), state, late)
    assert decision.desired == 4
    assert "no value that is new enough" in decision.votes[0].text


def test_others_still_add_while_a_metric_is_unknown() -> None:
    rules = policy(memory_percent=MEMORY_RULE)
    assert decide(rules, observed(90, memory_percent=None), State(), NOW).desired == 3


def test_a_metric_may_be_declared_zero_when_missing() -> None:
    rules = policy(
        cpu_percent=None,
        rules={"queue_length": Rule(up_above=100, down_below=10)},
        zero_when_missing=["queue_length"],
    )
    assert decide(rules, observed(None, 4), settled(3), NOW).desired == 3


def test_after_a_metric_was_unknown_less_has_to_be_demanded_anew() -> None:
    rules = policy(memory_percent=MEMORY_RULE, stabilization_down_seconds=300)
    state = State(recommendations=((SECOND - 400, 3),))
    unknown = decide(rules, observed(10, 4, memory_percent=None), state, NOW)
    later = NOW + timedelta(seconds=60)
    back = decide(rules, observed(10, 4, now=later, memory_percent=10), unknown.state, later)
    assert back.held_by(Hold.STABILIZATION)


def test_instances_that_start_are_capacity_to_come() -> None:
    assert decide(policy(), observed(90, 2), State(), NOW).desired == 3
    assert decide(policy(), observed(90, 2, starting=1), State(), NOW).desired == 3


def test_the_cpu_of_a_young_instance_is_not_counted() -> None:
    young = [reading(3, started=30, cpu_percent=100)]
    seen = with_instances(observed(60, 2, desired=3), young)
    assert decide(policy(), seen, State(), NOW).desired == 3


def test_what_an_instance_used_while_it_warmed_up_is_not_counted_later() -> None:
    series = Series([SECOND - 90, SECOND - 60, SECOND - 10], [100.0, 100.0, 20.0])
    seen = Observations(1, (reading(1, started=100, cpu_percent=series),))
    assert decide(policy(1), seen, State(), NOW).votes[0].value == 20


def test_instances_that_leave_are_no_capacity_and_are_called_back_by_a_rise() -> None:
    leaving = [reading(3, Phase.DRAINING, cpu_percent=5)]
    decision = decide(policy(), with_instances(observed(80, 2), leaving), State(), NOW)
    assert decision.desired == 3
    assert decision.undrain == ("shop@8103",)


def test_nothing_is_removed_that_would_bring_the_rest_over_the_threshold() -> None:
    narrow = policy(1, cpu_percent=Rule(up_above=50, down_below=40))
    decision = decide(narrow, observed(30, 2), settled(1), NOW)
    assert decision.desired == 2
    assert "cpu_percent would become 60, not below 50" in decision.sentence


def test_a_smaller_removal_is_tried_where_the_whole_would_be_too_much() -> None:
    wide = policy(1, cpu_percent=Rule(up_above=50, down_below=40), step_down=3)
    assert decide(wide, observed(30, 5), settled(2), NOW).desired == 4


def test_additions_rest() -> None:
    rests = policy(cooldown_up_seconds=300)
    resting = decide(rests, observed(90, 3), changed(100, 2, 3), NOW)
    assert resting.desired == 3
    assert "200 s of the rest after an addition are left" in resting.sentence
    assert decide(rests, observed(90, 3), changed(300, 2, 3), NOW).desired == 4


def test_a_removal_does_not_make_additions_rest() -> None:
    rests = policy(cooldown_up_seconds=300)
    assert decide(rests, observed(90, 3), changed(10, 4, 3), NOW).desired == 4


@pytest.mark.parametrize(("before", "after"), [(3, 4), (5, 4)])
def test_removals_rest_after_any_change(before: int, after: int) -> None:
    rests = policy(cooldown_down_seconds=600)
    state = changed(599, before, after)
    assert decide(rests, observed(10, 4), state, NOW).held_by(Hold.COOLDOWN)


def test_less_has_to_be_demanded_for_the_whole_window() -> None:
    patient = policy(stabilization_down_seconds=300)
    decisions = run(patient, [40.0] * 12, start=4)
    counts = [decision.desired for decision in decisions]
    assert counts[:5] == [4] * 5
    assert counts[5] == 3


def test_the_running_count_is_the_first_recommendation_after_a_restart() -> None:
    patient = policy(stabilization_down_seconds=300)
    decision = decide(patient, observed(10, 4), State(), NOW)
    assert decision.desired == 4
    assert decision.held_by(Hold.STABILIZATION)


def test_a_regretted_removal_makes_the_next_one_wait_longer() -> None:
    patient = policy(stabilization_down_seconds=60)
    low, high = [60.0] * 15, [300.0] * 15
    decisions = run(patient, [*high, *low, *high, *low], start=4)
    removals = [n for n, one in enumerate(decisions) if one.direction is Direction.DOWN]
    first = next(n for n in removals if n >= 15) - 15
    second = next(n for n in removals if n >= 45) - 45
    assert decisions[-1].state.regrets
    assert second > first


@pytest.mark.parametrize(("count", "bound"), [(1, 2), (12, 8)])
def test_bounds_are_repaired_at_once_even_without_metrics(count: int, bound: int) -> None:
    rests = policy(cooldown_up_seconds=300, cooldown_down_seconds=300)
    state = changed(0, bound, count)
    assert decide(rests, observed(None, count), state, NOW).desired == bound


def test_the_number_stays_within_its_bounds() -> None:
    most = decide(policy(), observed(90, 8), State(), NOW)
    least = decide(policy(), observed(1, 2), settled(1), NOW)
    assert (most.desired, least.desired) == (8, 2)
    assert most.held_by(Hold.MAXIMUM)
    assert least.held_by(Hold.MINIMUM)


@pytest.mark.parametrize("count", [1, 2])
def test_at_its_minimum_nothing_else_is_said_to_hold_a_service_back(count: int) -> None:
    rests = policy(count, stabilization_down_seconds=300, cooldown_down_seconds=300)
    decision = decide(rests, observed(1, count), changed(10, count + 1, count), NOW)
    assert [one.by for one in decision.held] == [Hold.MINIMUM]


def test_a_service_that_an_operator_set_to_nothing_is_left_alone() -> None:
    assert decide(policy(), observed(None, 0), State(), NOW).held_by(Hold.SWITCHED_OFF)


@pytest.mark.parametrize("order", [{"paused": True}, {"override": Override(6, SECOND + 1)}])
def test_when_an_order_ends_the_number_there_is_is_the_first_recommendation(
    order: dict[str, Any],
) -> None:
    damped = policy(stabilization_down_seconds=60)
    ordered = decide(damped, observed(10, 6), replace(settled(2), **order), NOW)
    free = replace(ordered.state, paused=False, override=None)
    for seconds, left in ((10, 6), (59, 6), (71, 5)):
        now = NOW + timedelta(seconds=seconds)
        decision = decide(damped, observed(10, 6, now=now), free, now)
        assert decision.desired == left, seconds
        free = decision.state


def test_a_paused_service_is_left_alone() -> None:
    decision = decide(policy(), observed(90), State(paused=True), NOW)
    assert decision.desired == 2
    assert decision.held_by(Hold.PAUSED)


def test_an_operator_s_number_holds_until_its_time_is_over() -> None:
    state = State(override=Override(5, SECOND + 7200))
    decision = decide(policy(), observed(10), state, NOW)
    assert decision.desired == 5
    assert "for another 120 min" in decision.sentence
    over = replace(state, override=Override(5, SECOND))
    assert decide(policy(), observed(50), over, NOW).desired == 2


def test_rates_bound_how_fast_the_number_moves() -> None:
    rates = Rates(limits=[Rate(instances=2, seconds=600)])
    limited = policy(1, 20, rates_up=rates, step_up=5)
    decision = decide(limited, observed(90, 4), changed(300, 3, 4), NOW)
    assert decision.desired == 5
    assert decision.held_by(Hold.RATE)


def test_nothing_is_removed_while_too_few_are_healthy() -> None:
    sick = [reading(n, Phase.FAILED) for n in (3, 4)]
    seen = with_instances(observed(10, 2, desired=4), sick)
    assert decide(policy(1), seen, settled(3), NOW).held_by(Hold.UNHEALTHY)


def test_a_target_gets_as_many_as_it_takes_at_once() -> None:
    aimed = policy(1, 20, cpu_percent=None, targets={"cpu_percent": Target(value=50)})
    decision = decide(aimed, observed(95, 4), State(), NOW)
    assert decision.desired == 8
    assert "which takes 8" in decision.sentence


def test_a_target_never_multiplies_instances_that_start() -> None:
    aimed = policy(1, 99, cpu_percent=None, targets={"queue": Target(value=10)})
    seen = observed(None, 1, starting=9, service={"queue": 100})
    assert decide(aimed, seen, State(), NOW).desired == 10


def test_a_target_does_not_remove_while_the_present_is_above_it() -> None:
    aimed = policy(1, cpu_percent=None, targets={"cpu_percent": Target(value=50)})
    times = [SECOND - back for back in (240, 180, 120, 60, 0)]
    series = Series(times, [10.0, 10.0, 10.0, 10.0, 60.0])
    seen = Observations(3, tuple(reading(n, cpu_percent=series) for n in (1, 2, 3)))
    assert decide(aimed, seen, settled(1), NOW).desired == 3


def test_the_largest_demand_wins() -> None:
    several = policy(1, 20, targets={"cpu_percent": Target(value=50), "queue": Target(value=10)})
    seen = observed(90, 4, service={"queue": 30})
    assert decide(several, seen, State(), NOW).desired == 12


def test_a_burst_is_followed_at_once_and_keeps_its_number_for_a_period() -> None:
    aimed = policy(
        1,
        20,
        cpu_percent=None,
        cooldown_up_seconds=300,
        targets={"queue": Target(value=10, measure="total", burst_seconds=60)},
    )
    times = [SECOND - back for back in range(300, -1, -30)]
    burst = Series(times, [20.0] * (len(times) - 2) + [80.0, 80.0])
    seen = replace(observed(None, 2), metrics={"queue": burst})
    decision = decide(aimed, seen, changed(60, 1, 2), NOW)
    assert decision.desired == 8
    later = NOW + timedelta(seconds=240)
    calm = observed(None, 8, now=later, service={"queue": 5})
    assert decide(aimed, calm, decision.state, later).desired == 8


def test_an_emergency_doubles_those_that_serve_beyond_the_maximum() -> None:
    seen = observed(50, 6, service={"error_rate": 20})
    decision = decide(policy(), seen, State(), NOW)
    assert decision.desired == 12
    assert decision.in_emergency
    assert "error_rate averaged 20 over 60 s, an emergency from 15 on" in decision.sentence


def test_an_emergency_never_multiplies_what_starts() -> None:
    seen = observed(50, 2, starting=2, service={"error_rate": 20})
    later = decide(policy(), seen, State(), NOW)
    assert later.desired == 4


def test_an_emergency_rests_for_its_own_time() -> None:
    first = decide(policy(), observed(50, 2, service={"error_rate": 20}), State(), NOW)
    soon = NOW + timedelta(seconds=30)
    seen = observed(50, 4, now=soon, service={"error_rate": 20})
    assert decide(policy(), seen, first.state, soon).desired == 4
    late = NOW + timedelta(seconds=60)
    seen = observed(50, 4, now=late, service={"error_rate": 20})
    assert decide(policy(), seen, first.state, late).desired == 8


def test_nothing_is_removed_for_a_period_after_an_emergency() -> None:
    calm_rules = policy(regret_seconds=0)
    state = decide(calm_rules, observed(50, 3, service={"error_rate": 20}), State(), NOW).state
    later = NOW + timedelta(seconds=300)
    during = decide(calm_rules, observed(10, 6, now=later, service={"error_rate": 0}), state, later)
    assert during.held_by(Hold.EMERGENCY)
    after = later + timedelta(seconds=60)
    seen = observed(10, 6, now=after, service={"error_rate": 0})
    assert decide(calm_rules, seen, during.state, after).desired == 5


def test_what_an_emergency_added_beyond_the_maximum_goes_step_by_step() -> None:
    state = decide(policy(), observed(50, 6, service={"error_rate": 20}), State(), NOW).state
    later = NOW + timedelta(seconds=1200)
    seen = observed(20, 12, now=later, service={"error_rate": 0})
    decision = decide(policy(), seen, state, later)
    assert decision.desired == 11
    again = later + timedelta(seconds=60)
    seen = observed(20, 11, now=again, service={"error_rate": 0})
    assert decide(policy(), seen, decision.state, again).desired == 10


def test_an_emergency_that_lasts_is_escalated_once() -> None:
    state, escalations = State(), []
    for minute in range(8):
        now = NOW + timedelta(minutes=minute)
        seen = observed(50, 4, now=now, service={"error_rate": 20})
        decision = decide(policy(), seen, state, now)
        state = decision.state
        escalations.append(decision.escalate)
    assert escalations == [False] * 5 + [True] + [False] * 2


def test_an_idle_instance_is_a_candidate_for_removal_though_others_are_busy() -> None:
    idle = reading(3, cpu_percent=2, memory_percent=10)
    seen = with_instances(observed(50, 2, desired=3, memory_percent=10), [idle])
    rules = policy(1, cpu_percent=Rule(up_above=70, down_below=20))
    decision = decide(rules, seen, settled(2), NOW)
    assert decision.candidates == ("shop@8103",)
    assert decision.desired == 2


def test_an_instance_is_idle_only_after_the_whole_time() -> None:
    fresh = steady(2, seconds=1700)
    idle = reading(3, cpu_percent=fresh, memory_percent=fresh)
    seen = with_instances(observed(50, 2, desired=3), [idle])
    assert decide(policy(1), seen, settled(2), NOW).candidates == ()


def test_a_forecast_only_adds() -> None:
    seen = replace(observed(50, 2), prediction=Prediction(5, "the forecast's upper bound"))
    assert decide(policy(), seen, State(), NOW).desired == 5
    lower = replace(observed(90, 4), prediction=Prediction(2, "the forecast's upper bound"))
    assert decide(policy(), lower, State(), NOW).desired == 5


def test_what_a_forecast_added_does_not_make_the_rules_rest() -> None:
    rests = policy(cooldown_up_seconds=300)
    seen = replace(observed(50, 2), prediction=Prediction(3, "the forecast's upper bound"))
    state = decide(rests, seen, State(), NOW).state
    later = NOW + timedelta(seconds=60)
    assert decide(rests, observed(90, 3, now=later), state, later).desired == 4


def test_the_fallback_never_shrinks_a_service() -> None:
    rules = policy(fallback=Fallback(instances=4, after_failures=3))
    counts = []
    state = State()
    for minute in range(5):
        now = NOW + timedelta(minutes=minute)
        decision = decide(rules, observed(None, 2, now=now), state, now)
        state = decision.state
        counts.append(decision.desired)
    assert counts == [2, 2, 2, 4, 4]
    assert decide(rules, observed(None, 6, now=now), state, now).desired == 6


def test_a_boost_makes_the_load_count_for_more() -> None:
    boost = Boost.starting(SECOND, 1.5, 40, {"cpu_percent": 50})
    assert decide(policy(), observed(50), State(boost=boost), NOW).desired == 3
    late = NOW + timedelta(minutes=41)
    assert decide(policy(), observed(50, now=late), State(boost=boost), late).desired == 2


def test_a_window_raises_the_minimum_at_once() -> None:
    window = Window(days=["wed"], start="12:00", end="13:00", minimum_factor=2, initial_factor=3)
    rules = replace(policy(), schedule=Schedule(windows={"noon": window}))
    before = decide(rules, observed(50), State(), NOW - timedelta(minutes=1))
    at_start = decide(rules, observed(50), State(), NOW)
    assert (before.desired, at_start.desired) == (2, 6)
    assert "6 is the minimum of window noon" in at_start.sentence
    later = NOW + timedelta(minutes=1)
    seen = observed(10, 6, now=later)
    state = replace(at_start.state, recommendations=(), changes=())
    again = later + timedelta(minutes=5)
    state = decide(rules, seen, state, later).state
    assert decide(rules, observed(10, 6, now=again), state, again).desired == 5


def test_a_clock_that_is_set_back_does_not_prolong_a_rest() -> None:
    rests = policy(cooldown_up_seconds=300)
    state = State(changes=(Change(SECOND + 86400, 1, 2),))
    decision = decide(rests, observed(90), state, NOW)
    assert decision.held_by(Hold.COOLDOWN)
    later = NOW + timedelta(seconds=300)
    assert decide(rests, observed(90, now=later), decision.state, later).desired == 3


def test_emergency_figures_come_from_the_settings() -> None:
    strict = policy(emergency=Emergency(error_rate_percent=5, factor=3))
    seen = observed(50, 2, service={"error_rate": 6})
    assert decide(strict, seen, State(), NOW).desired == 6
