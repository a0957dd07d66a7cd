"""What public autoscalers decide for the same inputs. Each group is a capability of ours.

The cases are facts of other projects' tests, kept beside the checkout. Where ours differs on
purpose, the case is in scaling_differences.json with the reason.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from stellwerk.scaling import history, ratio
from stellwerk.scaling.burst import BurstRule, BurstState, burst_step
from stellwerk.scaling.decide import decide
from stellwerk.scaling.model import (
    Boost,
    Change,
    Direction,
    Hold,
    Observations,
    Phase,
    Policy,
    Reading,
    State,
    Vote,
)
from stellwerk.scaling.ratio import Use, whole
from stellwerk.scaling.schedule import cron_window_is_open, floor_at
from stellwerk.scaling.series import Series
from stellwerk.scaling.steps import after_band, stepped
from stellwerk.scaling.votes import winner, winner_of_groups
from stellwerk.settings.scaling import CronWindow, Schedule, Window
from stellwerk.settings.scaling_policy import Band, Fallback, Rate, Rates, Rule, Target
from tests.unit.scaling.services import NOW, observed, policy, steady

CASES: Final = Path(__file__).parents[4] / "shared" / "cases" / "scaling.json"
DIFFERENCES: Final = Path(__file__).with_name("scaling_differences.json")
SECOND: Final = NOW.timestamp()
MOST_DIFFERENCES: Final = 0.1

Given = Mapping[str, Any]
Adapter = Callable[[Given, Given], None]
ADAPTERS: dict[str, Adapter] = {}


def load_cases() -> list[dict[str, Any]]:
    if not CASES.exists():
        return []
    cases: list[dict[str, Any]] = json.loads(CASES.read_text())["cases"]
    return cases


def differences() -> dict[str, str]:
    """The reason of each deliberate difference, by case."""
    reasons: dict[str, str] = json.loads(DIFFERENCES.read_text())
    return reasons


def adapter(group: str) -> Callable[[Adapter], Adapter]:
    def add(function: Adapter) -> Adapter:
        ADAPTERS[group] = function
        return function

    return add


needs_cases = pytest.mark.skipif(not CASES.exists(), reason="shared/cases is not beside us")


@needs_cases
@pytest.mark.parametrize("case", load_cases(), ids=lambda case: str(case["id"]))
def test_a_public_case_is_decided_alike(case: dict[str, Any]) -> None:
    check = ADAPTERS[case["group"]]
    if case["id"] not in differences():
        check(case["input"], case["expected"])
        return
    with pytest.raises(AssertionError):
        check(case["input"], case["expected"])


@needs_cases
def test_at_most_a_tenth_of_the_cases_differs_on_purpose() -> None:
    known = {case["id"] for case in load_cases()}
    assert set(differences()) <= known
    assert len(differences()) <= MOST_DIFFERENCES * len(known)
    assert all(reason.endswith(".") for reason in differences().values())


@needs_cases
def test_every_difference_is_explained_to_the_reader() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scaling-differences.md").read_text()
    assert all(f"`{case}`" in page for case in differences())


# Targets.


@adapter("proportional_per_instance")
def _proportional(given: Given, expected: Given) -> None:
    ready, waiting = [], []
    for used, request, state in zip(
        given["usage"], given["request"], given["instance_state"], strict=False
    ):
        use = Use(used, request)
        if state == "ready":
            ready.append(use)
        elif state in ("unready", "warming", "pending"):
            waiting.append(use)
    count = ratio.for_uses(
        given["current"],
        ready,
        waiting,
        given["target_percent"] / 100,
        tolerance=given["tolerance"],
    )
    assert count == expected["desired"]


@adapter("service_metric")
def _service_metric(given: Given, expected: Given) -> None:
    measure = "total" if given["kind"] == "total_per_instance" else "average"
    target = Target(value=given["target"], measure=measure, tolerance=given["tolerance"])
    of = policy(given.get("min", 0), given.get("max", 100), cpu_percent=None, targets={"m": target})
    seen = observed(None, given["ready"], desired=given["current"], service={"m": given["value"]})
    assert decide(of, seen, State(), NOW).desired == expected["desired"]


@adapter("target_value")
def _target_value(given: Given, expected: Given) -> None:
    rates = (
        Rates(limits=[Rate(instances=given["max_scale_down"], seconds=1)])
        if "max_scale_down" in given
        else Rates()
    )
    up = (
        Rates(limits=[Rate(instances=given["max_scale_up"], seconds=1)])
        if "max_scale_up" in given
        else Rates()
    )
    target = Target(value=given["target"], tolerance=given["threshold"])
    of = policy(0, 100, cpu_percent=None, targets={"m": target}, rates_down=rates, rates_up=up)
    decision = decide(
        of, observed(None, given["current"], service={"m": given["value"]}), State(), NOW
    )
    assert decision.desired == expected["desired"]
    assert decision.direction == expected["direction"]


@adapter("target_value_direction")
def _target_value_direction(given: Given, expected: Given) -> None:
    way = ratio.direction(given["current"], given["factor"], given["threshold"])
    assert way == expected["direction"]


@adapter("pass_through")
def _pass_through(given: Given, expected: Given) -> None:
    up = (
        Rates(limits=[Rate(instances=given["max_scale_up"], seconds=1)])
        if "max_scale_up" in given
        else Rates()
    )
    down = (
        Rates(limits=[Rate(instances=given["max_scale_down"], seconds=1)])
        if "max_scale_down" in given
        else Rates()
    )
    target = Target(value=1, measure="count")
    of = policy(0, 100, cpu_percent=None, targets={"m": target}, rates_up=up, rates_down=down)
    seen = observed(None, given["current"], service={"m": given["value"]})
    assert decide(of, seen, State(), NOW).desired == expected["desired"]


@adapter("proportional_round")
def _proportional_round(given: Given, expected: Given) -> None:
    count = ratio.for_average(
        given["current"],
        given["current"],
        given["utilization"],
        given["setpoint"],
        tolerance=0,
        rounding="nearest",
        idle=given["idle_offset"],
    )
    assert count - given["current"] == expected["delta"]


@adapter("deadband")
def _deadband(given: Given, expected: Given) -> None:
    low, high = given["window"]
    count = ratio.for_average(
        given["current"],
        given["current"],
        given["utilization"],
        given["setpoint"],
        tolerance=(high - low) / 2 / given["setpoint"],
    )
    assert count - given["current"] == expected["delta"]


@adapter("moving_average")
def _moving_average(given: Given, expected: Given) -> None:
    """The history is the load of all instances, of which each has a share."""
    current, now = given["current"], given["now"]
    load = [*given["history"], [now, given["utilization"] * current]]
    series = Series([SECOND + at - now for at, _ in load], [value / current for _, value in load])
    target = Target(value=given["setpoint"], tolerance=0, rounding="nearest")
    # The window is open at its beginning; the case counts what is exactly that old.
    of = policy(
        0,
        100,
        cpu_percent=None,
        targets={"m": target},
        evaluation_period_seconds=given["window_s"] + 1,
    )
    seen = Observations(current, observed(None, current).instances, {"m": series})
    assert decide(of, seen, State(), NOW).desired - current == expected["delta"]


# Steps and thresholds.


@adapter("threshold_rule")
def _threshold_rule(given: Given, expected: Given) -> None:
    decision = _decide_band(given)
    assert decision == expected["desired"]
    current = given["current"]
    way = "none" if decision == current else "up" if decision > current else "down"
    assert way == expected["direction"]


def _decide_band(given: Given) -> int:
    band = _band({**given, "samples": given["trigger"]})
    return after_band(band, given["current"], given["samples"])


def _band(given: Given) -> Band:
    names = {"percentage": "percent", "value": "instances"}
    keys = ("lower", "upper", "samples", "delta", "percentage", "value")
    return Band.model_validate(
        {"metric": "m"} | {names.get(key, key): given[key] for key in keys if key in given}
    )


@adapter("config_errors")
def _config_errors(given: Given, expected: Given) -> None:
    try:
        _band(given)
    except ValidationError:
        assert expected["error"]
    else:
        assert not expected["error"]


def _vote(way: str, count: int) -> Vote:
    return Vote("rule", Direction(way), count, 0, "")


@adapter("combine_rules")
def _combine_rules(given: Given, expected: Given) -> None:
    best = winner(_vote(*given[name]) for name in sorted(given))
    assert best == _vote(*expected["winner"])


@adapter("rule_groups")
def _rule_groups(given: Given, expected: Given) -> None:
    groups = {
        name: [_vote(way, given["counts"][way]) for way in ways if way is not None]
        for name, ways in given["groups"].items()
    }
    best = winner_of_groups(groups)
    assert (best and [best.direction, best.count]) == expected["winner"]


@adapter("step_adjustment")
def _step_adjustment(given: Given, expected: Given) -> None:
    text, current = given["adjustment"], given["current"]
    step = {"percent": float(text[:-1])} if text.endswith("%") else {"delta": int(text)}
    band = Band.model_validate({"metric": "m", "lower": 0, "samples": 1, **step})
    in_cooldown = given.get("in_cooldown", False)
    rest = 300 if in_cooldown else 0
    of = policy(
        given["min"],
        given["max"],
        cpu_percent=None,
        bands={"step": band},
        cooldown_up_seconds=rest,
        cooldown_down_seconds=rest,
    )
    state = State(changes=(Change(SECOND - 1, current - 1, current),) if in_cooldown else ())
    decision = decide(of, observed(None, current, service={"m": 1}), state, NOW)
    assert decision.desired == expected["desired"]
    limited = {"max": Hold.MAXIMUM, "min": Hold.MINIMUM, "cooldown": Hold.COOLDOWN}
    if expected["limited"] is None:
        assert not decision.held
    else:
        assert decision.held_by(limited[expected["limited"]])


@adapter("step_limit")
def _step_limit(given: Given, expected: Given) -> None:
    rates = Rates(limits=[Rate(percent=100 * given["max_task_delta"], seconds=60)])
    current = given["current"]
    wanted = stepped(current, delta=given["delta"])
    lower = history.lower_limit(current, rates, (), SECOND)
    upper = history.upper_limit(current, rates, (), SECOND)
    assert min(max(wanted, lower), upper) == expected["desired"]


# Bounds, windows and rates.


def _of_demands(given: Given, **rules: Any) -> tuple[Policy, Observations]:
    """A policy with one rule per demand of a case, and what it sees."""
    names = [f"m{number}" for number, _ in enumerate(given["desired_by_metrics"])]
    of = policy(
        given["min"],
        given["max"],
        cpu_percent=None,
        targets={name: Target(value=1, measure="count") for name in names},
        **rules,
    )
    values = zip(names, given["desired_by_metrics"], strict=True)
    running = given.get("running", given["current"])
    seen = observed(
        None,
        running,
        desired=given["current"],
        service={name: value for name, value in values if value != "error"},
    )
    return of, seen


@adapter("bounds_and_multi_metric")
def _bounds(given: Given, expected: Given) -> None:
    rules: dict[str, Any] = {}
    if "stabilization_down_s" in given:
        rules["stabilization_down_seconds"] = given["stabilization_down_s"]
    if "up_percent_per_60s" in given:
        rates = Rates(limits=[Rate(percent=given["up_percent_per_60s"], seconds=60)])
        rules["rates_up"] = rates
    state = State()
    if "last_scale_seconds_ago" in given:
        rules |= {"cooldown_up_seconds": 300, "cooldown_down_seconds": 300}
        at = SECOND - given["last_scale_seconds_ago"]
        state = State(changes=(Change(at, given["current"] + 1, given["current"]),))
    of, seen = _of_demands(given, **rules)
    decision = decide(of, seen, state, NOW)
    assert decision.desired == expected["desired"]
    if expected.get("scaling") == "disabled":
        assert decision.held_by(Hold.SWITCHED_OFF)
    if expected.get("limited") in ("min", "max"):
        limit = Hold.MINIMUM if expected["limited"] == "min" else Hold.MAXIMUM
        assert decision.held_by(limit)


@adapter("cap_count")
def _cap_count(given: Given, expected: Given) -> None:
    of, seen = _of_demands(
        {**given, "current": max(1, given["min"]), "desired_by_metrics": [given["desired"]]}
    )
    assert decide(of, seen, State(), NOW).desired == expected["desired"]


@adapter("stabilization_window")
def _stabilization(given: Given, expected: Given) -> None:
    count = history.stabilized(
        given["current"],
        given["desired"],
        [(SECOND - ago, count) for ago, count in given["recommendations"]],
        SECOND,
        up_seconds=given["up_window_s"],
        down_seconds=given["down_window_s"],
    )
    assert count == expected["stabilized"]


def _rates(given: Given) -> Rates:
    limits = [
        Rate(instances=amount, seconds=seconds)
        if kind == "count"
        else Rate(percent=amount, seconds=seconds)
        for kind, amount, seconds in given["policies"]
    ]
    choose = {"max": "largest", "min": "smallest", "disabled": "disabled"}[given["select"]]
    return Rates.model_validate({"limits": limits, "choose": choose})


@adapter("rate_policy")
def _rate_policy(given: Given, expected: Given) -> None:
    ups = [Change(SECOND - ago, 0, count) for ago, count in given["up_events"]]
    downs = [Change(SECOND - ago, count, 0) for ago, count in given["down_events"]]
    of, seen = _of_demands(
        {**given, "desired_by_metrics": [given["desired"]]},
        rates_up=_rates(given["up"]),
        rates_down=_rates(given["down"]),
        regret_seconds=0,
    )
    decision = decide(of, seen, State(changes=(*ups, *downs)), NOW)
    assert decision.desired == expected["desired"]
    rate = expected["limited"] in ("rate_up", "rate_down")
    assert decision.held_by(Hold.RATE) or not rate
    bound = {"min": Hold.MINIMUM, "max": Hold.MAXIMUM}.get(expected["limited"] or "")
    assert bound is None or decision.held_by(bound)


@adapter("cooldown_remaining")
def _cooldown_remaining(given: Given, expected: Given) -> None:
    left = history.rest_left(
        SECOND, SECOND - 60 * given["last_event_min_ago"], 60 * given["cooldown_min"]
    )
    assert left == 60 * expected["remaining_min"]


@adapter("scale_down_delay")
def _scale_down_delay(given: Given, expected: Given) -> None:
    of = policy(
        0,
        100,
        cpu_percent=None,
        targets={"load": Target(value=given["target_per_instance"], measure="total", tolerance=0)},
        stabilization_down_seconds=given["delay_s"],
        evaluation_period_seconds=1,
    )
    state, current = State(), 1
    for step in expected["steps"]:
        now = NOW + timedelta(seconds=step["t"])
        seen = observed(None, current, service={"load": step["load"]}, now=now)
        decision = decide(of, seen, state, now)
        state, current = decision.state, decision.desired
        assert current == step["desired"]


@adapter("window_max")
def _window_max(given: Given, expected: Given) -> None:
    values = given["values"]
    now = max(at for at, _ in values)
    assert history.largest_within(values, now, given["window_s"]) == expected["max"]


# Schedules.


@adapter("schedule_window")
def _schedule_window(given: Given, expected: Given) -> None:
    hours = {"1h": 60, "2h": 120, "30m": 30}
    window = CronWindow.model_validate(
        {
            "start": given["start"],
            "end": given.get("end"),
            "duration_minutes": hours.get(given.get("duration", "")),
            "minimum_factor": 1,
        }
    )
    now = datetime.fromisoformat(given["now_utc"]).replace(tzinfo=UTC)
    assert cron_window_is_open(window, now, "Etc/UTC") == expected["active"]


@adapter("schedule_transition")
def _schedule_transition(given: Given, expected: Given) -> None:
    """A window that begins now multiplies a minimum of 1, so that its factors are the counts."""
    window = Window(
        days=["wed"],
        start="12:00",
        end="13:00",
        minimum_factor=given["min"],
        initial_factor=given["initial_min"] or None,
    )
    begins = given["event"] == "schedule_start"
    schedule = Schedule(
        windows={"noon": window} if begins else {}, minimum_factor_otherwise=given["min"]
    )
    of = Policy("shop", 1, given["max"], schedule=schedule)
    floor = floor_at(of, NOW, frozenset())
    count = decide(of, observed(None, given["current"]), State(), NOW).desired
    assert floor.instances <= count
    assert count == expected["desired"]


# Emergencies.


def _burst_rule(given: Given) -> BurstRule:
    return BurstRule(
        given["target_per_instance"],
        given["panic_threshold"],
        given.get("stable_window_s", 60),
        given["max_up_rate"],
        given["max_down_rate"],
        given.get("activation_scale", 0),
    )


@adapter("panic_mode_step")
def _panic_step(given: Given, expected: Given) -> None:
    floor = given["panic_floor"]
    count, _ = burst_step(
        _burst_rule(given),
        None if floor is None else BurstState(SECOND, floor),
        SECOND,
        serving=given["ready"],
        calm_total=given["stable_total"],
        burst_total=given["panic_total"],
        in_use=given["reachable"],
    )
    assert count == expected["desired"]


@adapter("panic_mode_sequence")
def _panic_sequence(given: Given, expected: Given) -> None:
    state = None
    for step in expected["steps"]:
        count, state = burst_step(
            _burst_rule(given),
            state,
            step["t"],
            serving=step["ready"],
            calm_total=step["stable"],
            burst_total=step["panic"],
        )
        assert count == step["desired"]


# What is missing or unhealthy.


@adapter("insufficient_healthy")
def _insufficient_healthy(given: Given, expected: Given) -> None:
    percent = 100 * (1 - given["max_task_delta"])
    enough = history.healthy_enough(given["current"], given["healthy"], percent)
    assert enough is not expected["insufficient"]


@adapter("insufficient_healthy_action")
def _insufficient_healthy_action(given: Given, expected: Given) -> None:
    of, seen = _of_demands(
        {"current": 10, "min": 1, "max": 20, "desired_by_metrics": [10 + given["delta"]]}
        | {"running": 5 if given["insufficient"] else 10}
    )
    assert (decide(of, seen, State(), NOW).desired != 10) is expected["acts"]


@adapter("metric_failure_fallback")
def _fallback(given: Given, expected: Given) -> None:
    fallback = Fallback(
        instances=given["fallback_count"], after_failures=given["failure_threshold"]
    )
    of = policy(1, 100, fallback=fallback)
    seen = observed(50 if given["fetch_ok"] else None, 2)
    decision = decide(of, seen, State(failures=given["failures_before"]), NOW)
    assert decision.state.failures == expected["failures"]
    assert (decision.desired == given["fallback_count"]) is expected["fallback"]


@adapter("scale_in_projection")
def _projection(given: Given, expected: Given) -> None:
    """Their thresholds may be equal; ours may not, so the lower one is a hair below the value."""
    down = min(given["scale_in_at"], given["scale_out_at"] - 1e-6)
    rule = Rule(up_above=given["scale_out_at"], down_below=down)
    step, current = given["step"], given["current"]
    of = policy(1, 100, cpu_percent=None, rules={"m": rule}, step_down=step)
    one = observed(None, current).instances
    instances = tuple(
        Reading(each.name, Phase.SERVING, each.started_at, {"m": steady(given["average"])})
        for each in one
    )
    allowed = history.removable(given["average"], current, step, given["scale_out_at"])
    assert current - allowed == expected["desired"]
    assert decide(of, Observations(current, instances), State(), NOW).desired == expected["desired"]


@adapter("idle_cycles_penalty")
def _idle_penalty(given: Given, expected: Given) -> None:
    """Their penalty adds cycles, ours multiplies the time: the same for the first regret."""
    cycles, respawned = given["idle_cycles"], given["respawned_within_s"]
    idle = given["check_s"] * cycles
    regrets = int(respawned is not None and respawned <= idle)
    factor = (cycles + given["penalty"]) / cycles
    following = history.wait_after_regrets(idle, factor, regrets)
    assert idle == expected["idle_s_before_one_stop"]
    assert following == pytest.approx(given["check_s"] * expected["next_idle_cycles"])


@adapter("temporary_boost")
def _boost(given: Given, expected: Given) -> None:
    loads = {"load": given["load_at_start"]}
    try:
        boost = Boost.starting(SECOND, given["factor"], given["minutes"], loads)
    except ValueError:
        assert expected["error"]
        return
    now = SECOND + 60 * given["t_min"]
    assert boost.applied("load", given["load_now"], now) == expected["load_used"]
    assert not expected.get("error")


# A whole scenario.


@adapter("scenario_overshoot")
def _overshoot(given: Given, expected: Given) -> None:
    """A queue fills while instances start slowly; what is desired stays in proportion."""
    target = Target(value=given["queue_target"], measure="total")
    of = policy(
        1,
        10**6,
        cpu_percent=None,
        targets={"queue": target},
        evaluation_period_seconds=given["sync_s"],
    )
    state, queue, desired = State(), 0.0, given["ready_at_start"]
    ready_at = [0.0] * desired
    most = 0
    times: list[float] = []
    lengths: list[float] = []
    for second in range(1800):
        ready = sum(at <= second for at in ready_at)
        served = ready * given["service_per_instance_per_s"]
        queue = max(0.0, queue + given["arrival_per_s"] - served)
        now = NOW + timedelta(seconds=second)
        times.append(now.timestamp())
        lengths.append(queue)
        if second % given["sync_s"] == 0:
            seen = observed(None, ready, starting=len(ready_at) - ready, now=now)
            seen = Observations(desired, seen.instances, {"queue": Series(times, lengths)})
            decision = decide(of, seen, state, now)
            state, desired = decision.state, decision.desired
            ready_at += [second + given["startup_s"]] * (desired - len(ready_at))
            del ready_at[desired:]
        most = max(most, desired)
    assert most <= 3 * expected["needed"]
    assert whole(given["arrival_per_s"] / given["service_per_instance_per_s"]) <= most
